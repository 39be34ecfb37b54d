"""From a resolved plan to the interventions it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sna_eval.directions import BOTH, follows_choices
from sna_eval.errors import InputError
from sna_eval.intervention import Affine, Intervention
from sna_eval.neurons import UNLABELLED

if TYPE_CHECKING:
    from sna_eval.plan.schema import NeuronSets, PlannedIntervention, TaskPlan


def plain_interventions(plan: TaskPlan) -> tuple[Affine, ...]:
    """What a plan does to a text that has no choices: a direction must not depend on them.

    **Raises:** `InputError` for directions that follow from choices, and for `few_shot`.
    """
    if plan.prompt:
        raise InputError(
            "method", expected="one that acts inside the model, for generated or whole texts",
            got="few_shot", hint="use lm_eval's --num_fewshot for these tasks",
        )  # fmt: skip
    return tuple(
        intervention
        for entry in plan.interventions
        for intervention in entry_interventions(entry, _given(entry))
    )


def entry_interventions(entry: PlannedIntervention, label: str) -> tuple[Affine, ...]:
    """What one entry of a plan stands for.

    **Arguments:**

    - `label`: whose neurons act, for methods that choose neurons; `both` for all.
    """
    if not entry.how.chooses_neurons:
        return entry.built()
    neurons = label_neurons(entry.neurons or {}, label)
    return (Intervention(entry.layer, neurons, entry.multiplier, entry.positions, entry.unit),)


def _given(entry: PlannedIntervention) -> str:
    """The label that stands in the plan."""
    if follows_choices(entry.direction):
        raise InputError(
            "direction", expected="`both` or a label where there are no choices",
            got=entry.direction,
        )  # fmt: skip
    return entry.direction


def label_neurons(sets: NeuronSets, label: str, *, field: str = "direction") -> tuple[int, ...]:
    """Neurons of one label; of all labels for `both`; the only set where there are no labels.

    **Raises:** `InputError` for a label that has none.
    """
    if list(sets) == [UNLABELLED]:
        return sets[UNLABELLED]
    if label == BOTH:
        return tuple(dict.fromkeys(index for neurons in sets.values() for index in neurons))
    if label not in sets:
        raise InputError(field, expected=f"`both` or one of {', '.join(sets)}", got=label)
    return sets[label]
