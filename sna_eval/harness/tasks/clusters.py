"""Which items of a task go together: those that share their answer, or what a field says.

An intervention that makes the answer 7 likelier does so in every sum that comes to 7, so such items
are no independent observations of it. Where every item has the same choices (two sentiments, four
letters) an answer says nothing of the kind, and every item stands for itself.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from sna_eval.errors import InputError
from sna_eval.harness.tasks.questions import choices_of, gold_index, output_type, right_text

KEY = "cluster"
"""In a plan's task, and in the `metadata` of a task's YAML: the document's field that says it."""


def normalized_answer(text: str) -> str:
    """An answer as answers are compared: without spaces around, case and ways of encoding."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def cluster_labels(answers: Sequence[str], choices: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """A label for each item; items that share it go together.

    **Arguments:**

    - `answers`: the right answer of each item, as text.
    - `choices`: what each item may be answered with; one for an item without choices.
    """
    offered = {tuple(sorted(map(normalized_answer, of_doc))) for of_doc in choices}
    if len(offered) == 1 and len(offered.pop()) > 1:
        return tuple(f"item {number}" for number in range(len(answers)))
    return tuple(map(normalized_answer, answers))


def document_labels(task: Any, docs: Sequence[Any], field: str | None = None) -> tuple[str, ...]:
    """The label of each document of a task; see `cluster_labels`.

    **Arguments:**

    - `field`: of the documents, that says it; `None`: the one that the task's metadata names, where
        all documents have it, or else the right answer. A document without one stands for itself.
    """
    named = metadata_field(task.config.metadata)
    if named is not None and all(isinstance(doc, Mapping) and named in doc for doc in docs):
        field = field or named
    if field is not None:
        return field_labels(docs, field, task.config.task)
    if output_type(task) == "loglikelihood_rolling":
        return tuple(normalized_answer(str(task.doc_to_target(doc))) for doc in docs)
    choices = [choices_of(task, doc) for doc in docs]
    answers = [
        _answer(task, doc, of_doc, number)
        for number, (doc, of_doc) in enumerate(zip(docs, choices, strict=True))
    ]
    return cluster_labels(answers, choices)


def _answer(task: Any, doc: Any, choices: Sequence[str], number: int) -> str:
    if not choices:
        right = right_text(task, doc)
    else:
        gold = gold_index(task, doc)
        right = None if gold is None else choices[gold]
    return f"item {number}" if right is None else right


def field_labels(docs: Sequence[Any], field: str, task: str) -> tuple[str, ...]:
    """The label of each document, as a field of it says.

    **Raises:** `InputError` for a field that a document does not have.
    """
    for number, doc in enumerate(docs):
        if not isinstance(doc, Mapping) or field not in doc:
            known = ", ".join(map(str, doc)) if isinstance(doc, Mapping) else "none"
            raise InputError(
                f"{task}.{KEY}", expected=f"a field of its documents ({known})", got=field,
                hint=f"document {number} has none of that name",
            )  # fmt: skip
    return tuple(normalized_answer(str(doc[field])) for doc in docs)


def metadata_field(metadata: Any) -> str | None:
    """The field that a task's `metadata` names."""
    named = metadata.get(KEY) if isinstance(metadata, Mapping) else None
    return None if named is None else str(named)
