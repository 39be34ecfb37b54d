"""What both models answered to an item, in words and numbers that people read.

From a line of a sample file alone: no task and no model is loaded.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sna_eval.gating import Zone
from sna_eval.study.results.gold import gold_choice
from sna_eval.study.results.nested import finite
from sna_eval.study.results.records import BASELINE, is_outcome
from sna_eval.study.results.samples import Sample
from sna_eval.typed import Json


@dataclass(frozen=True)
class Choice:
    """One continuation that both models were asked the likelihood of."""

    text: str
    before: float | None
    """Log-likelihood by the unmodified model; `None` where the file does not say."""
    after: float | None
    """The same, amplified where the gate opened."""


@dataclass(frozen=True)
class Texts:
    """What both models wrote; `before` is `None` where the file does not say."""

    before: str | None
    after: str
    before_taken: str | None
    """What the filter took of it, where that is something else."""
    after_taken: str | None


@dataclass(frozen=True)
class ItemAnswers:
    """An item, a document under one filter, with both answers."""

    doc: int
    filter: str
    zone: Zone | None
    confidence: float | None
    amplified: bool
    """Whether the gate opened."""
    oracle: bool
    prompt: str
    """As it was sent: few-shot examples, system instruction and all."""
    target: str
    """The right answer, a choice in its own words."""
    gold: int | None
    """Number of the right choice."""
    choices: tuple[Choice, ...]
    """One for a continuation or a text that was scored, none where text was generated."""
    texts: Texts | None
    scores: Mapping[str, tuple[float | None, float | None]]
    """Each outcome before and after."""

    @property
    def shift(self) -> float:
        """How far apart the two answers are: in log-likelihood, or the share of other words."""
        if self.texts is not None:
            return _other_words(self.texts.before, self.texts.after)
        known = [
            abs(choice.after - choice.before)
            for choice in self.choices
            if choice.before is not None and choice.after is not None
        ]
        return max(known, default=0.0)


def answers_of(sample: Sample) -> ItemAnswers:
    """Both answers of one line; may raise anything where the line is damaged."""
    raw, requests = sample.raw, sample.conditional
    generated = bool(requests) and len(requests[0]) > 1 and isinstance(requests[0][1], Mapping)
    prompt, words = ("", []) if generated else _apart(requests)
    choices = _choices(raw, words)
    gold = gold_choice(raw.get("target"), [choice.text for choice in choices])
    return ItemAnswers(
        doc=int(raw.get("doc_id", 0)),
        filter=sample.filter,
        zone=sample.zone,
        confidence=finite(raw.get("confidence")),
        amplified=sample.amplified,
        oracle=sample.oracle,
        prompt=str(requests[0][0]) if generated else prompt,
        target=str(raw.get("target", "")) if gold is None else choices[gold].text,
        gold=gold,
        choices=choices,
        texts=_texts(raw) if generated else None,
        scores=_scores(raw),
    )


def _apart(requests: Sequence[Sequence[Any]]) -> tuple[str, list[str]]:
    """What all requests begin with, and what each goes on with.

    Choices are continuations of one context, or contexts before one continuation; a text that is
    scored as a whole has nothing before it.
    """
    if any(len(request) < 2 for request in requests):
        return "", [str(request[0]) if request else "" for request in requests]
    contexts = [str(request[0]) for request in requests]
    prompt = os.path.commonprefix(contexts)  # noqa: RUF071, they are no paths
    rest = (context.removeprefix(prompt) for context in contexts)
    return prompt, [
        f"{remainder}{request[1]}" for remainder, request in zip(rest, requests, strict=True)
    ]


def _choices(raw: Json, words: Sequence[str]) -> tuple[Choice, ...]:
    before = _likelihoods(raw.get("baseline_filtered_resps", ()))
    after = _likelihoods(raw.get("filtered_resps", ()))
    both = (_padded(likelihoods, len(words)) for likelihoods in (before, after))
    return tuple(Choice(*columns) for columns in zip(words, *both, strict=True))


def _padded(values: list[float | None], count: int) -> list[float | None]:
    return [*values, *[None] * count][:count]


def _likelihoods(answers: Any) -> list[float | None]:
    """From `[log-likelihood, is greedy]` or the bare number; lm_eval writes numbers as words."""
    return [
        _number(answer[0] if isinstance(answer, list) and answer else answer)
        for answer in answers or ()
    ]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _texts(raw: Json) -> Texts:
    before, after = _first(raw.get("baseline_resps")), _first(raw.get("resps"))
    taken_before = _first(raw.get("baseline_filtered_resps"))
    taken_after = _first(raw.get("filtered_resps"))
    written = after if after is not None else taken_after or ""
    return Texts(
        before=before,
        after=written,
        before_taken=None if taken_before == before else taken_before,
        after_taken=None if taken_after == written else taken_after,
    )


def _first(answers: Any) -> str | None:
    """The first of several texts: repeats and requests stand in lists within lists."""
    while isinstance(answers, list):
        if not answers:
            return None
        answers = answers[0]
    return None if answers is None else str(answers)


def _scores(raw: Json) -> dict[str, tuple[float | None, float | None]]:
    names = [str(name) for name in raw.get("metrics", ()) if is_outcome(str(name))]
    both = {name: (finite(raw.get(BASELINE + name)), finite(raw.get(name))) for name in names}
    return {name: pair for name, pair in both.items() if pair != (None, None)}


def _other_words(before: str | None, after: str) -> float:
    """Share of words that are in one of the texts only, each as often as it occurs."""
    if before is None or before == after:
        return 0.0
    first, second = Counter(before.split()), Counter(after.split())
    shared = (first & second).total()
    return 1 - 2 * shared / max(1, first.total() + second.total())
