"""The plan that holds every task's best configuration, its neurons and how it was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from sna_eval.errors import InputError, reading
from sna_eval.gating import Gate, ungated
from sna_eval.measuring.grid import Configuration
from sna_eval.plan import ChoiceRecord, Plan, Provenance, TaskPlan, acting_fingerprint
from sna_eval.plan.files import task_to_dict
from sna_eval.study.choosing.choice import ChosenConfiguration, Criterion, choose
from sna_eval.study.choosing.effects import Measure, task_effects
from sna_eval.study.sweep import SweepStore, model_spec, row_intervention, task_gate


@dataclass(frozen=True)
class SelectOptions:
    """How the best configuration is picked."""

    by: Criterion = "lower_bound"
    """Criterion over items."""
    confidence: float = 0.95
    """Of the lower bound, one-sided."""
    gate: Literal["confidence", "always"] = "confidence"
    """Whether the plan, and with it the effects, go through the gate or amplify every item. What
    was swept for a gate that is always open, as rolling texts are, is chosen for such a one."""
    measure: Measure | None = None
    """`None`: `acc` where items have choices, `prob` elsewhere."""
    allow_oracle: bool = False
    """Whether directions that depend on the right answer may be chosen."""
    allow_test: bool = False
    """Whether a store of test items may be chosen from; the plan then says so."""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("by", self.by, get_args(Criterion)),
            ("gate", self.gate, ("confidence", "always")),
            ("measure", self.measure, (*get_args(Measure), None)),
        ):
            if value not in allowed:
                named = ", ".join(entry for entry in allowed if entry)
                raise InputError(name, expected=f"one of {named}", got=value)


@dataclass(frozen=True)
class SelectedPlan:
    """The outcome of selecting."""

    plan: Plan
    choices: tuple[ChosenConfiguration, ...]
    """What the plan holds, task by task."""


def select(
    store: SweepStore,
    selecting: SelectOptions | None = None,
    *,
    gates: Mapping[str, Gate] | None = None,
    fitted_gates: bool = False,
) -> SelectedPlan:
    """Picks every task's best configuration and puts them into one plan.

    **Arguments:**

    - `gates`: gates by task that count in place of the store's.
    - `fitted_gates`: whether their boundaries were found on the store's items.

    **Raises:** `InputError` for an incomplete store, and for one of test items unless allowed.
    """
    selecting = selecting or SelectOptions()
    store.check_complete()
    _check_split(store, allow_test=selecting.allow_test)
    names = store.manifest["tasks"]
    known = {name: _gate((gates or {}).get(name) or task_gate(store, name), selecting)
             for name in names}  # fmt: skip
    choices = tuple(
        _choice(store, name, known[name], selecting, fitted_gate=fitted_gates) for name in names
    )
    tasks = {
        choice.task: _task_plan(store, choice, known[choice.task], selecting) for choice in choices
    }
    return SelectedPlan(Plan(tasks, model_spec(store)), choices)


def _choice(
    store: SweepStore, task: str, gate: Gate, selecting: SelectOptions, *, fitted_gate: bool
) -> ChosenConfiguration:
    with reading(
        "store", expected="a value in every column and row", got=str(store.path),
        hint="its tables are damaged: delete the task's files, and the same sweep computes them "
        "anew",
    ):  # fmt: skip
        return choose(
            task_effects(store, task, gate, measure=selecting.measure),
            by=selecting.by,
            confidence=selecting.confidence,
            allow_oracle=selecting.allow_oracle,
            fitted_gate=fitted_gate,
        )


def _gate(gate: Gate, selecting: SelectOptions) -> Gate:
    if selecting.gate == "always":
        return ungated(gate)
    return gate if gate.mode == "always" else replace(gate, mode="confidence")


def with_gain(store: SweepStore, task: str, plan: TaskPlan) -> TaskPlan:
    """A chosen plan with what its configuration gains behind a gate found on the same items.

    **Arguments:**

    - `plan`: one configuration of the store. What does not say how it was chosen stays as it is.
    """
    (entry,) = plan.interventions
    chosen = entry.chosen
    if chosen is None or chosen.measure not in get_args(Measure):
        return plan
    measure = cast(Measure, chosen.measure)
    found = task_effects(store, task, plan.gate, measure=measure)
    places = [Configuration.of_row(row) for row in found.rows]
    number = places.index(Configuration.of_entry(entry))
    effects = found.effects[number]
    bound = None
    if found.n_clusters > 1 and chosen.confidence is not None:
        oracle = bool(found.rows[number]["oracle"])
        bounds = found.lower_bounds(
            confidence=chosen.confidence, allow_oracle=oracle, fitted_gate=True
        )
        bound = float(bounds[found.usable(allow_oracle=oracle).index(number)])
    measured = chosen.saying(
        gain=float(effects.mean()),
        lower_bound=bound,
        n_items=len(effects),
        n_clusters=found.n_clusters,
        sweep=store.manifest["plan_fingerprint"],
    )
    return _recorded(plan, measured)


def _task_plan(
    store: SweepStore, choice: ChosenConfiguration, gate: Gate, selecting: SelectOptions
) -> TaskPlan:
    plan = TaskPlan(gate, (row_intervention(store, choice.row),))
    return _recorded(plan, _record(store, choice, selecting))


def _recorded(plan: TaskPlan, chosen: ChoiceRecord) -> TaskPlan:
    """The plan with a record of how it was chosen, and of what it was then."""
    (entry,) = plan.interventions
    whole = chosen.saying(fingerprint=acting_fingerprint(task_to_dict(plan)))
    found = (entry.found or Provenance()).saying(chosen=whole)
    return replace(plan, interventions=(replace(entry, found=found),))


def _record(
    store: SweepStore, choice: ChosenConfiguration, selecting: SelectOptions
) -> ChoiceRecord:
    """How a configuration was chosen, for the plan file."""
    said = store.manifest.get("task_arguments")
    return ChoiceRecord.of(
        {
            "split": store.manifest["split"],
            **({"selected_on_test_items": True} if store.manifest["split"] == "test" else {}),
            **({"oracle": True} if choice.oracle else {}),
            "by": selecting.by,
            "confidence": selecting.confidence,
            "measure": choice.measure,
            "gain": choice.gain,
            "lower_bound": choice.lower_bound,
            "n_items": choice.n_items,
            "n_clusters": choice.n_clusters,
            **({"ranked_apart": True} if choice.ranked_apart else {}),
            "among": choice.among,
            "sweep": store.manifest["plan_fingerprint"],
            **({"task_arguments": said} if said else {}),
        }
    )


def _check_split(store: SweepStore, *, allow_test: bool) -> None:
    if store.manifest["split"] == "test" and not allow_test:
        raise InputError(
            "store.split",
            expected="development items to choose on",
            got="test",
            hint="sweep with --split development; or add --force, and the plan will say that it "
            "was chosen on the items it is measured on",
        )
