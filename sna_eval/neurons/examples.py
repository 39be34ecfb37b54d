"""What neurons are searched on: a task's development items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sna_eval.cache import digest, prompt_fingerprint
from sna_eval.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A development item as it is scored: a context, its possible continuations, the right one."""

    context: str
    choices: tuple[str, ...]
    right: int
    described: int = 0
    """Where in the context the document's own text begins, behind what is said of the task."""
    plain: str = ""
    """The context as it is outside a chat, where it stands in one; `described` is of it then."""

    @property
    def shown(self) -> str:
        """The question with its answer, as an example among others."""
        return (self.plain or self.context)[self.described :] + self.answer

    @property
    def answer(self) -> str:
        return self.choices[self.right]

    @property
    def wrong(self) -> tuple[str, ...]:
        return tuple(text for number, text in enumerate(self.choices) if number != self.right)


@dataclass(frozen=True)
class Examples:
    """A task's development items, as prompts."""

    prompts: tuple[str, ...]
    """Prompts without the answer, as they are evaluated; whole texts where there is nothing before
    it."""
    labels: tuple[int, ...] | None = None
    """Each prompt's right label, an index into `label_names`, -1 for a prompt without one; `None`
    for open answers."""
    label_names: tuple[str, ...] = ()
    """The labels, stripped of spaces."""
    questions: tuple[Question, ...] = ()
    """The items with their answers; empty for tasks that are not scored by log-likelihood."""
    delimiter: str = "\n\n"
    """What stands between examples in a prompt."""
    unconditional: frozenset[int] = frozenset()
    """Numbers of the prompts that stand behind no context: all of them is scored."""
    whole: bool = False
    """Whether right answers are part of the prompts, as where all of an item is scored."""
    paired: bool = False
    """Whether they are pairs of prompts that are set against each other, label 0 against label 1,
    and come in turn."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What was said of the evaluation that prompts are shown as in, `num_fewshot` and the like."""

    def of_label(self, label: int) -> tuple[str, ...]:
        """Prompts whose right answer is `label`."""
        labels = self.labels or ()
        return tuple(p for p, other in zip(self.prompts, labels, strict=True) if other == label)

    @property
    def fingerprint(self) -> str:
        """Hash of prompts and labels."""
        texts = [*self.prompts, *self.label_names, *map(str, self.labels or ())]
        if self.unconditional:
            return digest([texts, sorted(self.unconditional)])
        return prompt_fingerprint(texts)

    @property
    def answer_hash(self) -> str:
        """Hash of the questions with their right answers, in order."""
        return prompt_fingerprint(
            [text for question in self.questions for text in (question.context, question.answer)]
        )

    @property
    def choices_hash(self) -> str:
        """Hash of the questions with all their choices, the right one first, in order."""
        return digest([[own.context, own.answer, *own.wrong] for own in self.questions])

    def at_most(self, count: int) -> Examples:
        """So many prompts, or pairs, and so many questions, each spread evenly over all of them."""
        if self.paired:
            pairs = spread_over(range(len(self.prompts) // 2), count)
            return self.only([2 * pair + side for pair in pairs for side in (0, 1)])
        prompts = self.only(spread_over(range(len(self.prompts)), count))
        return replace(prompts, questions=tuple(spread_over(self.questions, count)))

    def only(self, places: Sequence[int]) -> Examples:
        """The prompts at some places, with their questions where every prompt has one."""
        whole = len(self.questions) == len(self.prompts)
        return replace(
            self,
            prompts=tuple(self.prompts[place] for place in places),
            labels=None if self.labels is None else tuple(self.labels[place] for place in places),
            questions=tuple(self.questions[place] for place in places) if whole else (),
            unconditional=frozenset(
                number for number, place in enumerate(places) if place in self.unconditional
            ),
        )

    def answered(self) -> tuple[Question, ...]:
        """The items with their answers.

        **Raises:** `InputError` where there are none.
        """
        if not self.questions:
            raise InputError(
                "method",
                expected="one that needs no answers, for a task not scored by log-likelihood",
                got="a method that learns from right answers",
                hint="use sna or its controls",
            )
        return self.questions


def spread_over(values: Sequence[T], count: int) -> list[T]:
    """At most `count` of the values, in order: the middles of as many equal parts."""
    count = min(count, len(values))
    return [values[(2 * place + 1) * len(values) // (2 * count)] for place in range(count)]
