"""Which of a document's requests are choices, and which of them is right, as its task says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sna_eval.harness.tasks.items import Item
from sna_eval.harness.tasks.kinds import named_by_target

_MUTUAL_INFORMATION = "acc_mutual_info"


def offers_choices(task: Any) -> bool:
    """Whether a task is one of choices, a document with a single one included."""
    return getattr(task, "OUTPUT_TYPE", None) == "multiple_choice"


def unconditional_requests(task: Any, doc: Any, count: int) -> int:
    """How many of a document's requests, the last ones, ask for a choice without its context.

    lm_eval asks so for every choice once more where accuracy by mutual information is reported.

    **Arguments:**

    - `count`: requests of the document, all of them.
    """
    if _MUTUAL_INFORMATION not in (*getattr(task, "_metric_fn_list", ()), *task.aggregation()):
        return 0
    choices = len(choices_of(task, doc))
    return choices if count == 2 * choices else 0


def right_request(task: Any, item: Item) -> int | None:
    """Number of the request that is an item's right answer; `None` where none is."""
    asked = [item.requests[number].continuation_text for number in item.choices]
    number = right_of(task, item.instance.doc, asked)
    return None if number is None else item.choices[number]


def right_of(task: Any, doc: Any, continuations: Sequence[str]) -> int | None:
    """Number of a document's right continuation, `None` where none is; the only one is right."""
    if len(continuations) == 1:
        return 0
    if choices_of(task, doc):
        return gold_index(task, doc)
    return named_by_target(target_of(task, doc), continuations)


def gold_index(task: Any, doc: Any) -> int | None:
    """Number of a document's right choice; of several the first.

    `None` where the target is no choice: another word, a number beyond them, a label -1. lm_eval
    scores such a document as wrong whatever is answered.
    """
    gold, choices = target_of(task, doc), choices_of(task, doc)
    several = gold if isinstance(gold, (list, tuple)) else [gold]
    numbers = (_choice_number(answer, choices) for answer in several)
    return next((number for number in numbers if number is not None), None)


def target_of(task: Any, doc: Any) -> Any:
    """A document's target: a number, a word, or several."""
    several = getattr(task, "multiple_input", False)
    return task.doc_to_text(doc) if several else task.doc_to_target(doc)


def _choice_number(gold: Any, choices: Sequence[str]) -> int | None:
    if isinstance(gold, str):
        return choices.index(gold) if gold in choices else None
    return int(gold) if gold in range(len(choices)) else None


def choices_of(task: Any, doc: Any) -> list[str]:
    """A document's choices; none where a class of its own asks for others than `doc_to_choice`."""
    from lm_eval.api.task import ConfigurableTask

    named = getattr(type(task), "doc_to_choice", None)
    if named is None:
        return []
    inherited = named is ConfigurableTask.doc_to_choice
    if inherited and task.config.doc_to_choice is None and task.prompt is None:
        return []
    return [str(choice) for choice in task.doc_to_choice(doc)]
