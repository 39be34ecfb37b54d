"""What each configuration does to each item of a task, with the gate applied.

A sweep amplifies every item; a plan amplifies those whose gate opens. An item that the gate leaves
alone keeps its baseline, so its effect is exactly zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sna_eval.clusters import Ints
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.study.choosing.bounds import Floats, lower_bounds
from sna_eval.study.sweep import SweepStore, stored_clusters
from sna_eval.study.sweep.schemas import ConfigurationRow
from sna_eval.typed import Json

Measure = Literal["prob", "acc", "log_prob"]
"""`prob`: probability of the right answer. `acc`: whether it is the likeliest choice. `log_prob`:
the logarithm of `prob`, for long answers, whose probability is next to nothing."""
_SMALLEST = np.finfo(np.float64).tiny  # of probabilities whose logarithm can be taken back
_CUTS = 10  # confidences between which other boundaries of a gate are tried
CONFIGURATION = tuple(ConfigurationRow.__annotations__)
"""What of a configuration's row is read."""
_Which = Literal["layer", "n_neurons", "multiplier", "direction"]
_WHICH: tuple[_Which, ...] = get_args(_Which)  # what the rows of its items say too


@dataclass(frozen=True, eq=False)
class TaskEffects:
    """Effects of one task's configurations."""

    task: str
    measure: Measure
    rows: tuple[ConfigurationRow, ...]
    """The configurations, by the names of `CONFIGURATION`."""
    effects: Floats
    """Amplified minus baseline, 0 where the gate stays closed: `[configuration, item]`."""
    clusters: Ints
    """Items that go together, `[item]`."""
    among: int
    """Configurations of the grid that these were picked from: all but in a screened sweep."""
    ranked_apart: bool = False
    """Whether neurons were ranked on other items than these."""
    everywhere: Floats | None = None
    """The effects without a gate."""
    confidence: Floats | None = None
    """What the gate goes by, `[item]`."""

    @property
    def n_clusters(self) -> int:
        return len(np.unique(self.clusters))

    def usable(self, *, allow_oracle: bool) -> list[int]:
        """Numbers of the configurations that may be chosen."""
        return [n for n, row in enumerate(self.rows) if allow_oracle or not row["oracle"]]

    def lower_bounds(
        self, *, confidence: float, allow_oracle: bool = False, fitted_gate: bool = False
    ) -> Floats:
        """A bound for each usable configuration, that holds for the best of them.

        **Arguments:**

        - `fitted_gate`: whether the gate's boundaries were found on these very items: then every
            configuration counts behind every tenth of the confidences as well.
        """
        numbers = self.usable(allow_oracle=allow_oracle)
        tried = self.effects[numbers]
        among = round(self.among * len(numbers) / len(self.rows))
        if fitted_gate:
            others = self._behind_other_cuts(numbers)
            among = round(among * (1 + len(others) / len(tried)))
            tried = np.concatenate([tried, others])
        bounds = lower_bounds(tried, clusters=self.clusters, among=among, confidence=confidence)
        return bounds[: len(numbers)]

    def _behind_other_cuts(self, numbers: Sequence[int]) -> Floats:
        """The effects of configurations behind gates that were not chosen."""
        if self.everywhere is None or self.confidence is None:
            return self.effects[:0]
        cuts = np.quantile(self.confidence, np.arange(1, _CUTS) / _CUTS)
        gains = self.everywhere[numbers]
        behind = [np.where(self.confidence < cut, gains, 0.0) for cut in np.unique(cuts)]
        return np.concatenate([gains, *behind])


def task_effects(
    store: SweepStore, task: str, gate: Gate, *, measure: Measure | None = None
) -> TaskEffects:
    """Reads a task's effects from a store.

    **Arguments:**

    - `gate`: decides which items count as amplified.
    - `measure`: `None` takes `acc` where items have choices and `prob` elsewhere.
    """
    rows = store.table("configurations", tasks=[task]).select(CONFIGURATION).to_pylist()
    items = store.table("items", tasks=[task])
    if not items.num_rows:
        raise ValueError(f"no items of {task}")
    _check_order(task, rows, items)
    has_choices = items.column("amplified_correct").null_count < items.num_rows
    measure = measure or ("acc" if has_choices else "prob")
    if measure == "acc" and not has_choices:
        raise InputError(
            "measure", expected="`prob`, as the items have no choices", got=f"acc: {task}"
        )
    effects = _difference(items, measure).reshape(len(rows), -1)
    opens = _opens(items, gate).reshape(len(rows), -1)
    sure = items.column("confidence").to_numpy().astype(np.float64).reshape(len(rows), -1)
    return TaskEffects(
        task,
        measure,
        tuple(rows),
        np.where(opens, effects, 0.0),
        stored_clusters(store.manifest, task, effects.shape[1]),
        grid_size(store.manifest["tasks"][task]["grid"]),
        bool(store.manifest["tasks"][task].get("ranked_apart", False)),
        effects,
        sure[0],
    )


def _check_order(task: str, rows: Sequence[ConfigurationRow], items: pa.Table) -> None:
    """Items stand configuration by configuration, as many of each.

    **Raises:** `InputError` where they do not.
    """
    each = items.num_rows // len(rows)
    for name in _WHICH:
        expected = np.repeat(np.array([row[name] for row in rows]), each)
        if not np.array_equal(items.column(name).to_numpy(), expected):
            raise InputError(
                "store.items", expected=f"the same items of every configuration of {task}",
                got=f"another {name} than the configurations have",
                hint="sweep again, into another folder",
            )  # fmt: skip


def grid_size(grid: Json) -> int:
    """Configurations of a task's grid, as its manifest has it."""
    axes = ("layers", "n_neurons", "multipliers", "directions")
    return math.prod(len(grid[axis]) for axis in axes if grid.get(axis))


def _difference(items: pa.Table, measure: Measure) -> Floats:
    name = "correct" if measure == "acc" else "prob"
    after, before = (
        items.column(f"{state}_{name}").to_numpy().astype(np.float64)
        for state in ("amplified", "baseline")
    )
    if measure == "log_prob":
        after, before = (np.log(np.maximum(probs, _SMALLEST)) for probs in (after, before))
    return np.asarray(after - before)


def _opens(items: pa.Table, gate: Gate) -> NDArray[np.bool_]:
    confidence: Sequence[float] = items.column("confidence").to_numpy()
    known = {value: gate.opens(value) for value in set(confidence)}
    return np.array([known[value] for value in confidence])
