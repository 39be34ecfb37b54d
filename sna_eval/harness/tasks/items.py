"""Requests grouped into items: the documents that the gate decides on.

lm_eval hands over a flat list with repeats and padding. All requests of one document form an item,
so that its choices are always scored by one and the same model.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from sna_eval.errors import InputError
from sna_eval.intervention import Row
from sna_eval.intervention.rows import Tokens, shared_rows

EncodedRequest = tuple[tuple[str, str] | None, list[int], list[int]]
"""As lm_eval encodes a log-likelihood request: texts, context tokens, continuation tokens."""
Encode = Callable[[str, str], tuple[Tokens, Tokens]]
"""Tokenizes a context and its continuation."""
OffersChoices = Callable[[Any], bool]
"""Of an instance: whether its task offers choices, however many its document has."""
T = TypeVar("T")
Unconditional = Callable[[Any, int], int]
"""Of an instance and the number of its document's requests: how many of them, the last ones, ask
for a choice without its context."""


@dataclass(frozen=True, eq=False, slots=True)
class Request:
    """One continuation of one context."""

    context_text: str
    continuation_text: str
    context: Tokens
    continuation: Tokens

    @property
    def label(self) -> str:
        """The continuation as a label's name."""
        return self.continuation_text.strip()


@dataclass(frozen=True, eq=False)
class Item:
    """One document's requests, each once, in the order of its choices."""

    task: str
    instance: Any
    """The first of its lm_eval instances; leads to the document and the task."""
    requests: tuple[Request, ...]
    unconditional: int = 0
    """How many of the requests, the last ones, ask for a choice without its context, as tasks do
    that are scored by mutual information. A choice whose own context is empty is none of them."""
    alone: bool = False
    """Whether its one choice is all that a task of choices offers: there is nothing to decide."""

    @property
    def choices(self) -> tuple[int, ...]:
        """Numbers of the requests that are answers, without the unconditional ones."""
        return tuple(range(len(self.requests) - self.unconditional))

    @cached_property
    def first_equal(self) -> tuple[int, ...]:
        """For each request the number of the first that reads the same.

        Equal choices tie. Two places of a row, or of a batch, round apart, and would break the tie.
        """
        first: dict[tuple[Tokens, Tokens], int] = {}
        return tuple(
            first.setdefault((request.context, request.continuation), number)
            for number, request in enumerate(self.requests)
        )

    def with_ties(self, scores: Mapping[int, T]) -> tuple[T, ...]:
        """One score for each request, in order; requests that read the same have the same."""
        return tuple(scores[number] for number in self.first_equal)


@dataclass(frozen=True, eq=False)
class Grouped:
    """Items, and where each input request's answer is found."""

    items: tuple[Item, ...]
    answers: tuple[tuple[int, int], ...]
    """For each input request the item's number and the request's number in it."""


def _none(instance: Any, count: int) -> int:
    return 0


def _no(instance: Any) -> bool:
    return False


def group_items(
    instances: Sequence[Any],
    encoded: Sequence[EncodedRequest],
    unconditional: Unconditional = _none,
    offers_choices: OffersChoices = _no,
) -> Grouped:
    """Groups requests by task and document; instances that repeat are scored once.

    **Arguments:**

    - `unconditional`: asked about documents whose last request has no context.
    - `offers_choices`: asked about documents with one choice.
    """
    members: dict[Hashable, dict[int, tuple[Any, EncodedRequest]]] = {}
    places: list[tuple[Hashable, int]] = []
    keys = _ItemKeys()
    for instance, request in zip(instances, encoded, strict=True):
        key = keys.of(instance)
        members.setdefault(key, {}).setdefault(id(instance), (instance, request))
        places.append((key, id(instance)))
    numbers = {key: number for number, key in enumerate(members)}
    order = {key: list(member) for key, member in members.items()}
    answers = tuple((numbers[key], order[key].index(place)) for key, place in places)
    items = tuple(_item(member, unconditional, offers_choices) for member in members.values())
    return Grouped(items, answers)


def item_rows(item: Item, *, max_length: int, packs: bool) -> list[tuple[Row, tuple[int, ...]]]:
    """The rows that score an item, each with the numbers of the requests its branches answer.

    **Arguments:**

    - `max_length`: tokens the model reads at most; longer contexts lose their beginning, as in
        lm_eval.
    - `packs`: whether several long branches may share a row.

    **Raises:** `InputError` for a continuation that the model cannot read as a whole.
    """
    check_length(item, max_length)
    groups: dict[Tokens, list[int]] = {}
    for number, request in enumerate(item.requests):
        room = max_length + 1 - len(request.continuation)
        groups.setdefault(request.context[-room:], []).append(number)
    return [row for context, group in groups.items() for row in _rows(item, context, group, packs)]


def check_length(item: Item, max_length: int) -> None:
    """Raises `InputError` where the model cannot read a continuation as a whole.

    Its first tokens would be read as context, or not at all.
    """
    longest = max(len(request.continuation) for request in item.requests)
    if longest > max_length:
        raise InputError(
            item.task or "request",
            expected=f"targets of at most {max_length} tokens, which is what the model reads",
            got=f"{longest} tokens",
            hint=f"document {item.instance.doc_id}: leave it out, or take a model that reads more",
        )


def prompted(item: Item, prompt: str, question: str | None, encode: Encode) -> Item:
    """The same item with a text before its question.

    **Arguments:**

    - `question`: what of a context is the document's own; before it may stand a description,
        examples, the beginning of a chat. `None`: all of it.

    **Raises:** `InputError` for a context that does not hold the question.
    """

    def before(number: int, request: Request) -> Request:
        if number not in item.choices:  # an unconditional request stays what it is
            return request
        context_text = request.context_text
        # templates of chats may trim what they frame
        place = 0 if question is None else context_text.rfind(question.strip())
        if place < 0:
            raise InputError(
                item.task or "request", expected=f"a context that holds {question!r}",
                got=context_text, hint="use lm_eval's --num_fewshot in place of few_shot",
            )  # fmt: skip
        text = context_text[:place] + prompt + context_text[place:]
        context, continuation = encode(text, request.continuation_text)
        return Request(text, request.continuation_text, context, continuation)

    return replace(item, requests=tuple(itertools.starmap(before, enumerate(item.requests))))


def _rows(
    item: Item, context: Tokens, numbers: list[int], packs: bool
) -> list[tuple[Row, tuple[int, ...]]]:
    continuations = [item.requests[number].continuation for number in numbers]
    shared = shared_rows(
        len(context), [len(continuation) for continuation in continuations], packs=packs
    )
    return [
        (
            Row(context, tuple(continuations[place] for place in group)),
            tuple(numbers[place] for place in group),
        )
        for group in shared
    ]


class _ItemKeys:
    """What the requests of one document share.

    One task may be asked twice in a run, with other examples: then two of its requests say that
    they are the same choice of the same document, and belong to items of their own.
    """

    def __init__(self) -> None:
        self._first: dict[Hashable, int] = {}
        self._again: dict[Hashable, list[int]] = {}

    def of(self, instance: Any) -> Hashable:
        """The key of an instance's item; repeats are one and the same instance."""
        key = id(instance)
        if instance.doc_id is None:
            return key
        document = (instance.task_name, instance.doc_id)
        choice = (*document, instance.idx)
        if self._first.setdefault(choice, key) == key:
            return document
        again = self._again.setdefault(choice, [])
        if key not in again:
            again.append(key)
        return (*document, again.index(key))


def check_context(instance: Any, context: Sequence[Any]) -> None:
    """Raises `InputError` where nothing is before the target that predicts its first token."""
    if not context:
        raise InputError(
            instance.task_name or "request",
            expected="a context of at least one token in every document",
            got=instance.args[0],
            hint=f"document {instance.doc_id}: spaces that end a context belong to the target",
        )


def check_target(instance: Any, continuation: Sequence[Any]) -> None:
    """Raises `InputError` where nothing is left to score.

    **Arguments:**

    - `continuation`: the target, as text or as tokens.
    """
    if not continuation:
        raise InputError(
            instance.task_name or "request",
            expected="a target of at least one token in every document",
            got=instance.args[1],
            hint=f"document {instance.doc_id}: the target is empty, or the tokenizer joins it to "
            "the context's last token",
        )


def _item(
    members: dict[int, tuple[Any, EncodedRequest]],
    unconditional: Unconditional,
    offers_choices: OffersChoices,
) -> Item:
    first = next(iter(members.values()))[0]
    requests = []
    contexts: dict[Tokens, Tokens] = {}  # choices share theirs: kept once
    for instance, (_, context, continuation) in members.values():
        context_text, continuation_text = instance.args[:2]
        check_context(instance, context)
        check_target(instance, continuation)
        shared = contexts.setdefault(tuple(context), tuple(context))
        requests.append(Request(context_text, continuation_text, shared, tuple(continuation)))
    asked = 0 if requests[-1].context_text else unconditional(first, len(requests))
    alone = len(requests) - asked == 1 and offers_choices(first)
    return Item(first.task_name or "", first, tuple(requests), asked, alone)
