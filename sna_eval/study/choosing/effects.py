"""What each configuration does to each item of a task, with the gate applied.

A sweep amplifies every item; a plan amplifies those whose gate opens. An item that the gate leaves
alone keeps its baseline, so its effect is exactly zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.study.choosing.bounds import Floats
from sna_eval.study.sweep import SweepStore

Measure = Literal["prob", "acc", "log_prob"]
"""`prob`: probability of the right answer. `acc`: whether it is the likeliest choice. `log_prob`:
the logarithm of `prob`, for long answers, whose probability is next to nothing."""
_SMALLEST = np.finfo(np.float64).tiny  # of probabilities whose logarithm can be taken back
CONFIGURATION = ("task", "layer", "n_neurons", "multiplier", "direction", "oracle", "found")
"""What of a configuration's row says which one it is."""


@dataclass(frozen=True, eq=False)
class TaskEffects:
    """Effects of one task's configurations."""

    task: str
    measure: Measure
    rows: tuple[Mapping[str, Any], ...]
    """The configurations, by the names of `CONFIGURATION`."""
    effects: Floats
    """Amplified minus baseline, 0 where the gate stays closed: `[configuration, item]`."""


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
    has_choices = items.column("amplified_correct").null_count < items.num_rows
    measure = measure or ("acc" if has_choices else "prob")
    if measure == "acc" and not has_choices:
        raise InputError(
            "measure", expected="`prob`, as the items have no choices", got=f"acc: {task}"
        )
    effects = _difference(items, measure).reshape(len(rows), -1)
    opens = _opens(items, gate).reshape(len(rows), -1)
    return TaskEffects(task, measure, tuple(rows), np.where(opens, effects, 0.0))


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
