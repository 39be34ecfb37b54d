"""What a plan does: the entry that a task gets, whose neurons act, and the interventions it means.

Of several patterns the most specific one that matches a task's name wins. Where neurons belong to
labels, a label's name stands for that label's. Beside the names there are `both` labels', those of
the label that the unmodified model `predicted`, and the right answer's, `gold`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sna_eval.errors import InputError
from sna_eval.intervention import Affine, Intervention
from sna_eval.neurons import UNLABELLED

if TYPE_CHECKING:
    from sna_eval.plan.schema import NeuronSets, Plan, PlannedIntervention, TaskPlan


BOTH = "both"
PREDICTED = "predicted"
GOLD = "gold"


def follows_answer(direction: str) -> bool:
    """Whether it depends on the right answer: what it gains is an oracle's gain."""
    return direction == GOLD


def follows_choices(direction: str) -> bool:
    """Whether it differs from item to item, by the item's choices."""
    return direction == PREDICTED or follows_answer(direction)


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
    if entry.neurons is None:
        return entry.built()
    neurons = label_neurons(entry.neurons, label)
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


_WILDCARDS = "*?[]"


def match_task(plan: Plan, task: str) -> TaskPlan | None:
    """The entry for `task`, or `None` where the plan leaves the task alone."""
    pattern = match_pattern(plan, task)
    return plan.tasks[pattern] if pattern is not None else None


def match_pattern(plan: Plan, task: str) -> str | None:
    """The pattern that wins: the exact name, else the one with the most literal characters.

    Ties go to the pattern that comes first in the plan.
    """
    if task in plan.tasks:
        return task
    matching = [pattern for pattern in plan.tasks if fnmatchcase(task, pattern)]
    return max(matching, key=_literal_characters, default=None)


def _literal_characters(pattern: str) -> int:
    return sum(character not in _WILDCARDS for character in pattern)
