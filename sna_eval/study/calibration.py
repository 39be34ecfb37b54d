"""Zone boundaries for one's own model: the confidence that best separates gain from none.

The paper's 0.07 and 0.10 are GPT-2 Medium's (Akhtar 2026, section 7.3: they need recalibration).
Here an item *gains* where its task's chosen configuration turns it from wrong to right, if it has
choices, or else raises P(target) by more than `gain` percent. A cut says that items below it gain,
and is worth Youden's J: the share of gaining items below it, plus the share of the others at or
above it, minus 1 (Youden 1950, Index for rating diagnostic tests, Cancer 3, 32-35). 0 is no better
than a coin.

The best cut is looked for once with every task left out. Zone 1 lies below the lowest of these
cuts and zone 3 above the highest: between the two, which tasks were looked at decides, and that is
the zone that a gate leaves alone. `held_out` is J of those cuts on the tasks they have not seen.
For a single task, fifths of its items take the place of tasks. Tasks are counted alike.

What it does not do: an item whose baseline is low by luck gains in percent by itself, so J is about
separation and not about cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sna_eval.errors import InputError
from sna_eval.gating import Signal
from sna_eval.measuring.configuration import Configuration
from sna_eval.plan import Plan, TaskPlan, match_task, neurons_fingerprint
from sna_eval.study.choosing import with_gain
from sna_eval.study.sweep import SweepStore, configuration_row, row_plan

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FOLDS = 5
"""Parts of a single task's items."""
_DIGITS = 6  # of boundaries in a plan; finer than any of them can be known


@dataclass(frozen=True, eq=False)
class Outcomes:
    """One task's items: how sure the model was, and whether amplification helped."""

    task: str
    confidence: Floats
    gained: Bools
    oracle: bool = False
    """Whether the direction followed the right answer."""


@dataclass(frozen=True)
class Boundaries:
    """What was found for one signal."""

    signal: Signal
    low: float
    high: float
    best: float
    """The cut on all tasks."""
    seen: float
    """J of that cut on the same items; an upper end."""
    held_out: float
    """J of each cut on the items it was not fitted on, all of them together."""
    n_items: int
    n_gained: int
    tasks: tuple[str, ...]
    oracle: bool = False
    """Whether the gains of any task are those of a direction by the right answer."""


def calibrate(
    store: SweepStore, plan: Plan, *, gain: float = 10.0
) -> tuple[Plan, tuple[Boundaries, ...]]:
    """A plan with boundaries of its own, and how well they separate.

    What the plan records of its configuration's gain becomes that behind the new boundaries.

    **Arguments:**

    - `store`: a sweep on development items; its tasks are what is calibrated on.
    - `plan`: what was chosen from that sweep.
    - `gain`: improvement in percent that counts, for items without choices.

    **Raises:** `InputError` where the plan's configurations do not stand in the store.
    """
    if store.manifest["split"] == "test":
        raise InputError(
            "store.split", expected="development items to calibrate on", got="test",
            hint="sweep with --split development",
        )  # fmt: skip
    by_signal: dict[Signal, list[Outcomes]] = {}
    for task in store.manifest["tasks"]:
        task_plan = match_task(plan, task)
        if task_plan is not None:
            by_signal.setdefault(_signal(store, task, task_plan), []).append(
                task_outcomes(store, task, task_plan, gain=gain)
            )
    if not by_signal:
        raise InputError(
            "plan", expected="an entry for a task of the store",
            got=", ".join(plan.tasks) or "none",
            hint=f"the store has {', '.join(list(store.manifest['tasks'])[:4])}",
        )  # fmt: skip
    found = {signal: find_boundaries(signal, outcomes) for signal, outcomes in by_signal.items()}
    calibrated = _with_boundaries(plan, found)
    tasks = {
        name: with_gain(store, name, task) if name in store.manifest["tasks"] else task
        for name, task in calibrated.tasks.items()
    }
    return replace(calibrated, tasks=tasks), tuple(found.values())


def task_outcomes(store: SweepStore, task: str, plan: TaskPlan, *, gain: float) -> Outcomes:
    """What a plan's configuration did to every item of a task, whatever its gate says."""
    items = _items(store, task, plan)
    before, after = (items[f"{state}_prob"].to_numpy() for state in ("baseline", "amplified"))
    if items["amplified_correct"].notna().all():
        right, was = (
            items[f"{state}_correct"].to_numpy(dtype=bool) for state in ("amplified", "baseline")
        )
        gained = right & ~was
    else:
        gained = after > before * (1 + gain / 100)
    confidence = items["confidence"].to_numpy(dtype=np.float64)
    return Outcomes(task, confidence, gained, plan.oracle)


def _items(store: SweepStore, task: str, plan: TaskPlan) -> pd.DataFrame:
    """The items of a plan's configuration.

    **Raises:** `InputError` where the plan is no configuration of the store.
    """
    entry = plan.interventions[0] if len(plan.interventions) == 1 else None
    got = f"{len(plan.interventions)} interventions"
    if entry is not None:
        got = f"layer {entry.layer}, multiplier {entry.multiplier:g}"
        row = configuration_row(store, task, Configuration.of_entry(entry))
        if row is not None:
            stored = row_plan(store, row).tasks[task]
            if neurons_fingerprint(stored) != neurons_fingerprint(plan):
                got += " with other neurons"
            elif not (items := _items_of(store, task, row)).empty:
                return items
            else:
                got += " without items"
    raise InputError(
        f"tasks.{task}.interventions", expected="one configuration of the store", got=got,
        hint="use a plan that `sna-eval select` wrote from this store",
    )  # fmt: skip


def _items_of(store: SweepStore, task: str, row: Mapping[str, Any]) -> pd.DataFrame:
    """The items of a configuration's row."""
    items = store.table("items", tasks=[task]).to_pandas()
    wanted = asdict(Configuration.of_row(row))
    return items[np.logical_and.reduce([items[name] == value for name, value in wanted.items()])]


def find_boundaries(signal: Signal, outcomes: Sequence[Outcomes]) -> Boundaries:
    """Boundaries and how well they do on what they have not seen."""
    confidence = np.concatenate([outcome.confidence for outcome in outcomes])
    gained = np.concatenate([outcome.gained for outcome in outcomes])
    weights = np.concatenate(
        [np.full(len(outcome.gained), 1 / len(outcome.gained)) for outcome in outcomes]
    )
    if gained.all() or not gained.any():
        raise InputError(
            "gain", expected="items that gain and items that do not",
            got=f"{int(gained.sum())} of {len(gained)} gain ({signal})",
            hint="change --gain, or use a sweep with stronger multipliers",
        )  # fmt: skip
    folds = _folds(outcomes)
    best = best_cut(confidence, gained, weights)
    cuts, below = [best], np.zeros(len(gained), dtype=bool)
    for fold in range(folds.max() + 1):
        inside = folds == fold
        if gained[~inside].all() or not gained[~inside].any():
            continue
        cut = best_cut(confidence[~inside], gained[~inside], weights[~inside])
        cuts.append(cut)
        below[inside] = confidence[inside] < cut
    return Boundaries(
        signal,
        float(f"{min(cuts):.{_DIGITS}g}"),
        float(f"{max(cuts):.{_DIGITS}g}"),
        best,
        youden(confidence < best, gained, weights),
        youden(below, gained, weights),
        len(gained),
        int(gained.sum()),
        tuple(outcome.task for outcome in outcomes),
        any(outcome.oracle for outcome in outcomes),
    )


def best_cut(confidence: Floats, gained: Bools, weights: Floats) -> float:
    """The cut with the largest J, midway between two items; of equals the lowest."""
    values = np.unique(confidence)
    cuts = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2, [values[-1] + 1e-6]])
    order = np.argsort(confidence)
    places = np.searchsorted(confidence[order], cuts)  # items below each cut
    shares = [
        np.concatenate([[0.0], np.cumsum(weighted[order])])[places] / weighted.sum()
        for weighted in (weights * gained, weights * ~gained)
    ]
    return float(cuts[int(np.argmax(shares[0] - shares[1]))])


def youden(below: Bools, gained: Bools, weights: Floats) -> float:
    """Youden's J, `[item]` each: sensitivity plus specificity minus 1."""
    sensitivity = weights[below & gained].sum() / weights[gained].sum()
    specificity = weights[~below & ~gained].sum() / weights[~gained].sum()
    return float(sensitivity + specificity - 1)


def _folds(outcomes: Sequence[Outcomes]) -> NDArray[np.int64]:
    """Which part each item is left out with."""
    if len(outcomes) > 1:
        return np.concatenate([np.full(len(o.gained), n) for n, o in enumerate(outcomes)])
    return np.arange(len(outcomes[0].gained)) % FOLDS


def _signal(store: SweepStore, task: str, plan: TaskPlan) -> Signal:
    """The plan's signal, which must be the one that the store holds."""
    stored: Signal = store.manifest["tasks"][task]["gate"]["signal"]
    if plan.gate.signal != stored:
        raise InputError(
            f"tasks.{task}.gate.signal", expected=f"{stored}, as the store holds it",
            got=plan.gate.signal, hint="sweep with --plan and this gate",
        )  # fmt: skip
    return stored


def _with_boundaries(plan: Plan, found: Mapping[Signal, Boundaries]) -> Plan:
    """The plan with the boundaries of each gate's signal; other signals keep theirs."""

    def changed(task_plan: TaskPlan) -> TaskPlan:
        new = found.get(task_plan.gate.signal)
        if new is None:
            return task_plan
        return replace(task_plan, gate=replace(task_plan.gate, low=new.low, high=new.high))

    return replace(plan, tasks={name: changed(task) for name, task in plan.tasks.items()})
