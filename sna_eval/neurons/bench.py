"""What neurons are searched on and in: a task's development items, the model that reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, TypeVar

import torch
from torch import nn

from sna_eval.cache import digest, prompt_fingerprint
from sna_eval.errors import InputError
from sna_eval.intervention import Row, Sites, Unit
from sna_eval.intervention.decoder import input_device, model_fingerprint
from sna_eval.intervention.rows import Tokens
from sna_eval.neurons.statistics import TokenRow
from sna_eval.typed import Json

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
    arguments: Json = field(default_factory=dict)
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
        return digest(
            [[question.context, question.answer, *question.wrong] for question in self.questions]
        )

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


def _unshared(look_up: Callable[[], Any]) -> Any:
    return look_up()


@dataclass(frozen=True, eq=False)
class Workbench:
    """The model that neurons are searched in."""

    model: nn.Module
    sites: Sites
    encode: Callable[[str], TokenRow]
    """Tokenizes a prompt as the evaluation does."""
    batch_size: int = 16
    max_length: int | None = None
    """Tokens the model reads at most; longer texts lose their beginning, as in the evaluation."""
    same: Callable[[Callable[[], Any]], Any] = _unshared
    """Looks something up so that all processes that hold the model together see the same."""
    prefix: int | None = None
    """Token that stands for an empty context, as in the evaluation; `None`: there is none."""
    neutral: dict[str, dict[int, torch.Tensor]] = field(default_factory=dict)
    """Statistics of neutral text found so far, by what they depend on: `neurons.observed`."""
    universal: dict[str, Mapping[int, tuple[int, ...]]] = field(default_factory=dict)
    """Universal neurons found so far, by their rule: `neurons.universal`."""
    chat: Callable[..., str] | None = None
    """Renders a list of chat messages as the evaluation does; `None`: there is no chat template."""

    @cached_property
    def model_hash(self) -> str:
        return model_fingerprint(self.model)

    def of(self, unit: Unit) -> Workbench:
        """The same model, its neurons or its attention heads searched.

        **Raises:** `InputError` where it is not known where the heads are.
        """
        return self if unit == self.sites.unit else self._views(unit)

    @cached_property
    def _views(self) -> Callable[[Unit], Workbench]:
        return cache(lambda unit: replace(self, sites=self.sites.of(unit)))

    @property
    def device(self) -> torch.device:
        return input_device(self.model)

    def rows(self, prompts: Sequence[str]) -> list[TokenRow]:
        """Tokenized prompts; empty ones are left out.

        **Raises:** `InputError` where none is left.
        """
        kept = [row for row in map(self._read, prompts) if len(row)]
        if not kept:
            raise no_prompts(prompts)
        return kept

    def task_rows(self, examples: Examples) -> tuple[list[TokenRow], list[int]]:
        """Tokenized prompts of a task and the label of each, 0 where there are no labels.

        **Raises:** `InputError` where none is left.
        """
        labels = examples.labels or (0,) * len(examples.prompts)
        rows = [
            self._unconditional(text) if number in examples.unconditional else self._read(text)
            for number, text in enumerate(examples.prompts)
        ]
        kept = [(row, label) for row, label in zip(rows, labels, strict=True) if len(row)]
        if not kept:
            raise no_prompts(examples.prompts)
        return [row for row, _ in kept], [label for _, label in kept]

    def _read(self, text: str) -> TokenRow:
        return self.clipped(self.encode(text))

    def _unconditional(self, text: str) -> TokenRow:
        """A text behind no context: behind the token that stands for one."""
        before, behind = self.pair("", text)
        return self.clipped(before + behind) if behind else ()

    def clipped(self, tokens: TokenRow) -> TokenRow:
        """The end of a text, as much of it as the model reads."""
        return tokens if self.max_length is None else tokens[-self.max_length :]

    def pair(self, context: str, continuation: str) -> tuple[Tokens, Tokens]:
        """Tokens of a context and of what follows it, divided where lm_eval divides them.

        Spaces that end a context belong to the continuation. `prefix` stands for an empty one.
        """
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + continuation
        before = tuple(self.encode(stripped))
        behind = tuple(self.encode(stripped + continuation))[len(before) :]
        return before if before or self.prefix is None else (self.prefix,), behind

    def answered_row(self, question: Question) -> Row:
        """A question with its right answer as the only branch.

        **Raises:** `InputError` where one of the two is empty, or the model cannot read the answer.
        """
        return self._row(question.context, question.answer)

    def choice_rows(self, question: Question) -> list[Row]:
        """A question with each of its choices as only branch, the right one first, each once.

        **Raises:** `InputError` as `answered_row` does.
        """
        texts = dict.fromkeys([question.answer, *question.wrong])
        rows = dict.fromkeys(self._row(question.context, text) for text in texts)
        return list(rows)

    def _row(self, context_text: str, answer: str) -> Row:
        context, continuation = self.pair(context_text, answer)
        if not context or not continuation:
            raise InputError(
                "select.prompts", expected="development items with a context and an answer",
                got=(context_text, answer),
                hint="leave the item out of the development split, or use sna with `differential`",
            )  # fmt: skip
        if self.max_length is not None:  # the last token is predicted, never read
            room = self.max_length + 1 - len(continuation)
            if room < 1:
                raise InputError(
                    "select.prompts",
                    expected=f"answers of at most {self.max_length} tokens, as the model reads",
                    got=f"{len(continuation)} tokens",
                    hint="leave the item out of the development split",
                )
            context = context[-room:]
        return Row(context, (continuation,))


def no_prompts(prompts: Sequence[str]) -> InputError:
    """The complaint about prompts of which none has a token."""
    return InputError(
        "select.prompts", expected="development prompts, not all of them empty",
        got=f"{len(prompts)} without a token", hint="name the neurons in the plan",
    )  # fmt: skip
