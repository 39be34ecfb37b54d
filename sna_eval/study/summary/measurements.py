"""One task's sweep as an array: what every configuration of the grid does to P(target)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sna_eval.errors import InputError
from sna_eval.intervention import Unit
from sna_eval.measuring.grid import Configuration
from sna_eval.study.sweep import SweepStore

Floats = NDArray[np.float64]
AXES = ("direction", "layer", "n_neurons", "multiplier")
MOST_CELLS = 50_000_000
"""Of a grid: damaged rows could span one that exceeds any memory."""


@dataclass(frozen=True, eq=False)
class TaskMeasurements:
    """The full factorial of one task; every item is amplified, no gate applied."""

    task: str
    zone: int
    """Of the task, by its items' mean confidence."""
    n_items: int
    baseline: float
    """P(target), mean over items."""
    directions: tuple[str, ...]
    layers: tuple[int, ...]
    n_neurons: tuple[int, ...]
    multipliers: tuple[float, ...]
    change: Floats
    """P(target) after minus before, means over items: `[direction, layer, count, multiplier]`; NaN
    where a screened sweep measured nothing."""
    drawn: NDArray[np.bool_] | None = None
    """Cells of a screened sweep that chance chose, in the shape of `change`; `None` where all of
    the grid was measured."""
    unit: Unit = "mlp"
    """What was amplified."""

    @property
    def typical(self) -> Floats:
        """The changes that stand for the grid, in the shape of `change`, NaN elsewhere.

        Of a screened sweep those that chance chose: the others were measured because they promised
        much.
        """
        return self.change if self.drawn is None else np.where(self.drawn, self.change, np.nan)

    @property
    def by_layer(self) -> Floats:
        """Mean change over the rest of the grid, `[layer]`; NaN for layers without any."""
        return np.array([mean_of(self.typical[:, place]) for place in range(len(self.layers))])

    @property
    def improvement(self) -> Floats:
        """Change in percent of the baseline, in the shape of `change`; NaN where that is 0."""
        return self.in_percent(self.change)

    def in_percent(self, change: Floats) -> Floats:
        """Changes in percent of the baseline; NaN where that is 0."""
        if self.baseline == 0:
            return np.full_like(change, np.nan)
        percent: Floats = change / self.baseline * 100
        return percent

    def improvement_of(self, cell: Configuration) -> float | None:
        """The improvement of one configuration; `None` where it was not swept or has none."""
        axes = (self.directions, self.layers, self.n_neurons, self.multipliers)
        pairs = list(zip((getattr(cell, axis) for axis in AXES), axes, strict=True))
        if not self.baseline or any(value not in values for value, values in pairs):
            return None
        found = float(self.improvement[tuple(values.index(value) for value, values in pairs)])
        return None if math.isnan(found) else found

    def at(self, place: int) -> Configuration:
        """The configuration at a place of the flattened array."""
        direction, layer, count, multiplier = np.unravel_index(place, self.change.shape)
        return Configuration(
            self.layers[layer],
            self.n_neurons[count],
            self.multipliers[multiplier],
            self.directions[direction],
            self.unit,
        )


def read_measurements(
    store: SweepStore, *, allow_oracle: bool = False
) -> tuple[TaskMeasurements, ...]:
    """All tasks of a store, in its order.

    **Arguments:**

    - `allow_oracle`: whether directions that depend on the right answer count.

    **Raises:** `InputError` for a sweep that is not finished: means over part of a grid would
    compare tasks on different configurations.
    """
    store.check_complete()
    tables = (
        (task, store.table("configurations", tasks=[task])) for task in store.manifest["tasks"]
    )
    return tuple(task_measurements(task, rows, allow_oracle=allow_oracle) for task, rows in tables)


def task_measurements(
    task: str, table: pa.Table, *, allow_oracle: bool = False
) -> TaskMeasurements:
    """Lays the rows of one task out on its grid.

    **Arguments:**

    - `table`: rows of a store's `configurations`, one for each combination.
    """
    rows = [row for row in table.to_pylist() if allow_oracle or not row["oracle"]]
    if not rows:
        raise InputError(
            f"tasks.{task}",
            expected="a configuration that does not know the right answer",
            got="only `gold`",
            hint="sweep other directions too",
        )
    values = {axis: _distinct(rows, axis) for axis in AXES}
    shape = [len(values[axis]) for axis in AXES]
    screened = any(row["drawn"] for row in rows)
    size = math.prod(shape)
    if size > MOST_CELLS or (size != len(rows) and not screened):
        raise _lacking(task)
    change, drawn = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    for row in rows:
        place = tuple(values[axis].index(row[axis]) for axis in AXES)
        change[place], drawn[place] = row["delta_prob"], bool(row["drawn"])
    if np.isnan(change).sum() != size - len(rows):
        raise _lacking(task)
    return TaskMeasurements(
        task, rows[0]["zone"], rows[0]["n_items"], rows[0]["baseline_prob"],
        values["direction"], values["layer"], values["n_neurons"], values["multiplier"], change,
        drawn if screened else None, Configuration.of_row(rows[0]).unit,
    )  # fmt: skip


def mean_of(values: Floats) -> float:
    """Mean of the values that are numbers; NaN without any."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _lacking(task: str) -> InputError:
    return InputError(
        f"store.tasks.{task}",
        expected="a value for every configuration",
        got="missing or NaN",
        hint="delete the task's files and run the same sweep again; NaN anew means that the "
        "dtype is too narrow for this model",
    )


def _distinct(rows: list[dict[str, Any]], axis: str) -> tuple[Any, ...]:
    """The values of an axis: directions as they come, numbers in order."""
    found = tuple(dict.fromkeys(row[axis] for row in rows))
    return found if axis == "direction" else tuple(sorted(found))
