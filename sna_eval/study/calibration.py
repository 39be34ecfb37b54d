"""Zone boundaries for one's own model: the confidence below which amplification gains net.

The paper's 0.07 and 0.10 are GPT-2 Medium's (Akhtar 2026, section 7.3: they need recalibration).
Here an item is *won* where a task's configuration turns it from wrong to right, if it has choices,
or else raises the odds of its right answer by more than `gain` percent; it is *lost* where the same
happens the other way. A cut is worth what it wins below it less what it loses there.

Zone 1 lies below the cut that is best on all items. The best cut is also looked for with every
fifth of the items left out, items that share their answer together; zone 3 lies above the highest
of all these cuts. What the cuts win less what they lose on the items left out is their net gain;
where the plan's configuration was chosen from the same sweep, that choice too is made anew without
those items. Only boundaries whose net gain has a lower bound above 0 are kept: no gain, no gate.
Tasks are counted alike. See `sna_eval.study.statistics.net_gain`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

import numpy as np

from sna_eval.errors import InputError
from sna_eval.gating import Signal, ungated
from sna_eval.measuring.grid import Configuration
from sna_eval.plan import Plan, TaskPlan, match_task, neurons_fingerprint
from sna_eval.study.choosing import Measure, task_effects, with_gain
from sna_eval.study.statistics import GatedItems, log_odds, net_gain
from sna_eval.study.statistics.clusters import Floats
from sna_eval.study.statistics.net_gain import best_cut
from sna_eval.study.sweep import SweepStore, configuration_row, row_plan
from sna_eval.study.sweep.schemas import ConfigurationRow

_DIGITS = 6  # of boundaries in a plan; finer than any of them can be known
_SMALLEST = np.finfo(np.float64).tiny  # of probabilities whose logarithm can be taken


@dataclass(frozen=True, eq=False)
class TaskOutcomes:
    """One task's items: how sure the model was, and whom amplification helped."""

    items: GatedItems
    chosen: int
    """Number of the plan's configuration among those that were tried."""
    oracle: bool = False
    """Whether the direction followed the right answer."""


@dataclass(frozen=True)
class Boundaries:
    """What was found for one signal; gains are shares of items, won less lost."""

    signal: Signal
    low: float
    """The best cut on all items."""
    high: float
    """The highest cut with any fifth of them left out."""
    seen: float
    """Net gain of that cut on the same items; an upper end."""
    gain: float
    """Net gain of each cut on the items it was not found on, all of them together."""
    gain_low: float
    """Its one-sided 95 % lower bound."""
    won: float
    """Share of items, among those left out, that the gate opened for and that were won."""
    lost: float
    n_items: int
    n_clusters: int
    tasks: tuple[str, ...]
    oracle: bool = False
    """Whether the gains of any task are those of a direction by the right answer."""

    @property
    def kept(self) -> bool:
        """Whether a gate with these boundaries gains for sure."""
        return self.gain_low > 0


def spoken(found: Boundaries) -> str:
    """What was found, in words."""
    count = f"{len(found.tasks)} task{'' if len(found.tasks) == 1 else 's'}"
    return (
        f"{found.signal}{' (oracle)' if found.oracle else ''}: "
        f"{'' if found.kept else 'no boundaries are kept, no gain is sure: '}"
        f"low {found.low:g}, high {found.high:g} win {100 * found.gain:+.1f} % net of "
        f"{found.n_items} items of {count} left out (won {100 * found.won:.1f} %, lost "
        f"{100 * found.lost:.1f} %; lower bound {100 * found.gain_low:+.1f} %), "
        f"{100 * found.seen:+.1f} % where fitted"
    )


def calibrate(
    store: SweepStore, plan: Plan, *, gain: float = 10.0
) -> tuple[Plan, tuple[Boundaries, ...]]:
    """A plan with boundaries of its own, where they gain net, and what they gain.

    What the plan records of its configuration's gain becomes that behind the new boundaries. Gates
    whose boundaries are not kept stay as they are.

    **Arguments:**

    - `store`: a sweep on development items; its tasks are what is calibrated on.
    - `plan`: what was chosen from that sweep.
    - `gain`: rise of the odds in percent that counts, for items without choices.

    **Raises:** `InputError` where the plan's configurations do not stand in the store.
    """
    if not gain >= 0:
        raise InputError("gain", expected="0 or more percent", got=gain)
    if store.manifest["split"] == "test":
        raise InputError(
            "store.split", expected="development items to calibrate on", got="test",
            hint="sweep with --split development",
        )  # fmt: skip
    by_signal: dict[Signal, dict[str, TaskOutcomes]] = {}
    for task in store.manifest["tasks"]:
        task_plan = match_task(plan, task)
        if task_plan is not None:
            outcomes = task_outcomes(store, task, task_plan, gain=gain)
            by_signal.setdefault(_signal(store, task, task_plan), {})[task] = outcomes
    if not by_signal:
        raise InputError(
            "plan", expected="an entry for a task of the store",
            got=", ".join(plan.tasks) or "none",
            hint=f"the store has {', '.join(list(store.manifest['tasks'])[:4])}",
        )  # fmt: skip
    found = {signal: find_boundaries(signal, outcomes) for signal, outcomes in by_signal.items()}
    tasks = {name: _calibrated(store, name, task, found) for name, task in plan.tasks.items()}
    return replace(plan, tasks=tasks), tuple(found.values())


def task_outcomes(store: SweepStore, task: str, plan: TaskPlan, *, gain: float) -> TaskOutcomes:
    """What configurations do to every item of a task, whatever a gate says.

    All of them where the plan's was chosen from this sweep, so that the choice is made anew without
    the items that are left out; else the plan's alone.

    **Raises:** `InputError` where the plan is no configuration of the store.
    """
    chosen = plan.interventions[0].chosen if plan.interventions else None
    measure = None if chosen is None or chosen.measure not in get_args(Measure) else chosen.measure
    found = task_effects(store, task, ungated(plan.gate), measure=cast("Measure | None", measure))
    number = _number(store, task, plan, found.rows)
    tried = [number]
    if chosen is not None and chosen.sweep == store.manifest["plan_fingerprint"]:
        tried = found.usable(allow_oracle=plan.oracle)
    assert found.confidence is not None
    return TaskOutcomes(
        GatedItems(
            confidence=found.confidence,
            gains=_gains(store, task, gain).reshape(len(found.rows), -1)[tried],
            effects=found.effects[tried],
            clusters=found.clusters,
        ),
        tried.index(number),
        plan.oracle,
    )


def _gains(store: SweepStore, task: str, gain: float) -> Floats:
    """1 for an item that is won, -1 for one that is lost, configuration by configuration."""
    items = store.table("items", tasks=[task]).to_pandas()
    if items["amplified_correct"].notna().all():
        right, was = (
            items[f"{state}_correct"].to_numpy(dtype=np.float64)
            for state in ("amplified", "baseline")
        )
        return np.asarray(right - was)
    after, before = (
        log_odds(np.log(np.maximum(items[f"{state}_prob"].to_numpy(), _SMALLEST)))
        for state in ("amplified", "baseline")
    )
    moved, bound = after - before, np.log1p(gain / 100)
    return np.where(moved > bound, 1.0, np.where(moved < -bound, -1.0, 0.0))


def _number(store: SweepStore, task: str, plan: TaskPlan, rows: Sequence[ConfigurationRow]) -> int:
    """Which of the store's configurations a plan's is.

    **Raises:** `InputError` where it is none of them.
    """
    entry = plan.interventions[0] if len(plan.interventions) == 1 else None
    got = f"{len(plan.interventions)} interventions"
    if entry is not None:
        got = f"layer {entry.layer}, multiplier {entry.multiplier:g}"
        places = [Configuration.of_row(row) for row in rows]
        wanted = Configuration.of_entry(entry)
        row = configuration_row(store, task, wanted) if wanted in places else None
        if row is not None:
            stored = row_plan(store, row).tasks[task]
            if neurons_fingerprint(stored) == neurons_fingerprint(plan):
                return places.index(wanted)
            got += " with other neurons"
    raise InputError(
        f"tasks.{task}.interventions", expected="one configuration of the store", got=got,
        hint="use a plan that `sna-eval select` wrote from this store",
    )  # fmt: skip


def find_boundaries(signal: Signal, tasks: Mapping[str, TaskOutcomes]) -> Boundaries:
    """Boundaries, and the net gain of finding them so on items they were not found on."""
    found = net_gain([outcomes.items for outcomes in tasks.values()])
    confidence = [outcomes.items.confidence for outcomes in tasks.values()]
    gains = [outcomes.items.gains[outcomes.chosen] for outcomes in tasks.values()]
    best, lowest = best_cut(confidence, gains), min(float(sure.min()) for sure in confidence)
    opened = [
        np.where(sure < best, worth, 0.0) for sure, worth in zip(confidence, gains, strict=True)
    ]
    return Boundaries(
        signal=signal,
        low=_shortened(max(best, lowest)),
        high=_shortened(max(best, lowest, *found.cuts)),
        seen=float(np.mean([worth.mean() for worth in opened])),
        gain=found.gain,
        gain_low=found.low,
        won=found.won,
        lost=found.lost,
        n_items=sum(map(len, confidence)),
        n_clusters=found.clusters,
        tasks=tuple(tasks),
        oracle=any(outcomes.oracle for outcomes in tasks.values()),
    )


def _signal(store: SweepStore, task: str, plan: TaskPlan) -> Signal:
    """The plan's signal, which must be the one that the store holds."""
    stored: Signal = store.manifest["tasks"][task]["gate"]["signal"]
    if plan.gate.signal != stored:
        raise InputError(
            f"tasks.{task}.gate.signal", expected=f"{stored}, as the store holds it",
            got=plan.gate.signal, hint="sweep with --plan and this gate",
        )  # fmt: skip
    return stored


def _shortened(cut: float) -> float:
    return float(f"{cut:.{_DIGITS}g}")


def _calibrated(
    store: SweepStore, name: str, plan: TaskPlan, found: Mapping[Signal, Boundaries]
) -> TaskPlan:
    """A task's plan with the boundaries of its gate's signal, where they are kept."""
    new = found.get(plan.gate.signal)
    if new is None or not new.kept:
        return plan
    gated = replace(plan, gate=replace(plan.gate, low=new.low, high=new.high))
    return with_gain(store, name, gated) if name in store.manifest["tasks"] else gated
