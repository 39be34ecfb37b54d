"""A task's items as they are scored: requests, right answers, and rows for the model.

Prompts, choices and tokens come from lm_eval's own code, so that an item means here what it means
in an evaluation. Tasks that generate text are swept by the probability of their right answer as a
continuation of the prompt: what is generated then is not looked at. Rolling texts are swept by the
probability of their beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sna_eval.cache import digest
from sna_eval.errors import InputError
from sna_eval.harness.plugin.running import Prompting
from sna_eval.harness.plugin.stand_in import encoded
from sna_eval.harness.tasks.contexts import Contexts, left_out_of_its_own_examples
from sna_eval.harness.tasks.development import (
    TEXT_CHARACTERS,
    Half,
    development_docs,
    examples_of,
)
from sna_eval.harness.tasks.items import Item, Request, group_items, item_rows
from sna_eval.harness.tasks.plan_makers import announce
from sna_eval.harness.tasks.questions import (
    document_labels,
    offers_choices,
    output_type,
    right_request,
    right_text,
    seed_examples,
    unconditional_requests,
)
from sna_eval.intervention import Row
from sna_eval.neurons import MAX_PROMPTS, spread_over
from sna_eval.plan import prompt_fingerprint

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

Split = Literal["development", "test"]
"""`development`: items that are not evaluated. `test`: the items that lm_eval evaluates."""
_ROLLING = "loglikelihood_rolling"


@dataclass(frozen=True, eq=False)
class TaskItems:
    """The items of one task and split; requests are numbered through, item by item."""

    items: tuple[Item, ...]
    gold: tuple[int, ...]
    """For each item the number, within the item, of the request that is the right answer."""
    kind: str = "loglikelihood"
    """lm_eval's `OUTPUT_TYPE`. Where text is generated, the one request of an item is its right
    answer; of rolling texts it is the text."""
    unanswered: int = 0
    """Items that were left out because they have no right answer."""
    clusters: tuple[str, ...] = ()
    """A label for each item; items that share it go together. Empty where nobody asked."""

    @property
    def has_choices(self) -> bool:
        return any(len(item.choices) > 1 for item in self.items)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Number of each item's first request, and at the end the number of requests."""
        counts = [len(item.requests) for item in self.items]
        return tuple(int(start) for start in np.cumsum([0, *counts]))

    @cached_property
    def first_equal(self) -> list[int]:
        """For each request the number of the first of its item that reads the same."""
        return [
            start + request
            for start, item in zip(self.starts, self.items, strict=False)
            for request in item.first_equal
        ]

    def right_answer(self, item: Item) -> int:
        """Number of the request of `item` that is its right answer."""
        return self._gold_of[id(item)]

    @cached_property
    def _gold_of(self) -> dict[int, int]:
        return {id(item): gold for item, gold in zip(self.items, self.gold, strict=True)}

    def described(self) -> list[str]:
        """Requests as texts and tokens, and right answers: what makes these items these."""
        return [
            text
            for item, gold in zip(self.items, self.gold, strict=True)
            for text in (
                *(part for request in item.requests for part in _parts(request)),
                str(gold),
            )
        ]


def _parts(request: Request) -> tuple[str, ...]:
    tokens = (*request.context, -1, *request.continuation)
    return request.context_text, request.continuation_text, " ".join(map(str, tokens))


@dataclass(frozen=True, eq=False)
class ItemRow:
    """A row of the model's input, with the requests its branches answer."""

    row: Row
    item: int
    """Number of the item."""
    requests: tuple[int, ...]
    """Numbers of the requests, counted through all items, one for each branch."""


def load_items(
    task: Any,
    lm: SNALM,
    *,
    split: Split,
    limit: int | None = None,
    spread: bool = False,
    prompting: Prompting | None = None,
    cluster: str | None = None,
    half: Half | None = None,
) -> TaskItems:
    """The items of a task.

    **Arguments:**

    - `task`: an lm_eval task.
    - `lm`: the model, for its tokenizer.
    - `limit`: how many items at most; the first ones, as for lm_eval, unless `spread`.
    - `spread`: whether to take them evenly from the whole split.
    - `prompting`: what is put around the prompts; `None`: what the task was loaded with.
    - `cluster`: field of the documents that says which items go together; `None`: the one that the
        task's metadata names, if they do.
    - `half`: of the development items, to be taken alone.
    """
    seed_examples(task)
    kind = output_type(task)
    docs = (
        development_docs(task, half=half, cluster=cluster)
        if split == "development"
        else list(task.eval_docs)
    )
    docs = spread_over(docs, limit) if spread and limit else docs[:limit]
    apart = left_out_of_its_own_examples(task) if split == "development" else nullcontext()
    with apart:
        instances = _instances_of(task, lm, docs, Contexts.of(task, lm, prompting))
    items = group_items(
        instances,
        encoded(lm, instances),
        lambda instance, count: unconditional_requests(task, instance.doc, count),
        lambda instance: offers_choices(task),
    ).items
    answered = [(item, gold) for item in items if (gold := right_request(task, item)) is not None]
    if len(answered) < len(docs):
        _say_left_out(task.config.task, split, len(docs) - len(answered), len(docs))
    if not answered:
        raise InputError(
            task.config.task, expected=f"a right answer for some of the {split} items",
            got=f"none for any of {len(docs)}",
            hint="it is one of `doc_to_choice`, or what `doc_to_target` gives",
        )  # fmt: skip
    return TaskItems(
        tuple(item for item, _ in answered),
        tuple(gold for _, gold in answered),
        kind,
        len(docs) - len(answered),
        document_labels(task, [item.instance.doc for item, _ in answered], cluster),
    )


def _instances_of(task: Any, lm: SNALM, docs: Sequence[Any], contexts: Contexts) -> list[Any]:
    """Requests of documents, in order."""
    kind = output_type(task)
    return [
        instance
        for number, doc in enumerate(docs)
        for instance in (
            [_text(task, lm, doc, number)]
            if kind == _ROLLING
            else _instances(task, doc, number, kind, contexts)
        )
    ]


@cache
def _say_left_out(task: str, split: Split, count: int, of: int) -> None:
    """Once in a process, however often the items are loaded."""
    announce(
        f"{task}: {count} of {of} {split} items have no right answer and are left out of what "
        "needs one"
    )


def items_fingerprint(task: Any, lm: SNALM, *, split: Split, limit: int | None = None) -> str:
    """Hash of the items of a task, as `load_items` gives them: another one where they changed."""
    return prompt_fingerprint(load_items(task, lm, split=split, limit=limit).described())


def development_fingerprint(task: Any, lm: SNALM) -> str:
    """Hash of all that may be searched on in a task, by the rules of searches as they are; empty
    where it has no development items."""
    try:
        contexts = Contexts.of(task, lm)
        learned = examples_of(task, contexts=contexts)
        searched = examples_of(task, MAX_PROMPTS, contexts=contexts)
    except InputError:
        return ""
    asked = [
        [question.context, question.described, *question.choices, question.right]
        for question in learned.questions
    ]
    return digest([learned.fingerprint, asked, searched.fingerprint, MAX_PROMPTS, "sinks: drop"])


def rows_of(items: TaskItems, *, max_length: int, packs: bool) -> list[ItemRow]:
    """The rows that score the items, longest first, so that like lengths travel together."""
    rows = [
        ItemRow(row, number, tuple(items.starts[number] + place for place in numbers))
        for number, item in enumerate(items.items)
        for row, numbers in item_rows(item, max_length=max_length, packs=packs)
    ]
    return sorted(rows, key=lambda entry: -len(entry.row))


def answered_rows(items: TaskItems, *, max_length: int) -> list[Row]:
    """Every item's prompt with its right answer as only branch."""
    rows = []
    for item, gold in zip(items.items, items.gold, strict=True):
        right = item.requests[gold]
        room = max(1, max_length + 1 - len(right.continuation))
        rows.append(Row(right.context[-room:], (right.continuation,)))
    return rows


def _instances(task: Any, doc: Any, number: int, kind: str, contexts: Contexts) -> list[Any]:
    """The requests of one document, built as `Task.build_all_requests` builds them.

    None of a document whose generated text has no right answer.
    """
    context = contexts.of_document(task, doc)
    metadata = (task.config.task, number, task.config.repeats)
    if kind == "generate_until":
        return _right_continuation(task, doc, context, metadata)
    return contexts.requests(task, doc, context, metadata=metadata)


def _text(task: Any, lm: SNALM, doc: Any, number: int) -> Any:
    """The beginning of a rolling text, as far as the model's window, as a request."""
    from lm_eval.api.instance import Instance

    text = str(task.doc_to_target(doc))[:TEXT_CHARACTERS]
    tokens = lm.tok_encode(text, add_special_tokens=False)
    if len(tokens) > lm.max_length:
        text = lm.tok_decode(tokens[: lm.max_length])
    metadata = (task.config.task, number, task.config.repeats)
    return Instance("loglikelihood", doc, ("", text), 0, metadata=metadata)


def _right_continuation(task: Any, doc: Any, context: str, metadata: Any) -> list[Any]:
    """The first right answer of a generated text, as a request for its log-likelihood."""
    from lm_eval.api.instance import Instance

    answer = right_text(task, doc)
    if answer is None:
        return []
    return [Instance("loglikelihood", doc, (context, answer), 0, metadata=metadata)]
