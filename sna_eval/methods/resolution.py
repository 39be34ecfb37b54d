"""What a method is given to find its neurons or numbers with, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention import Row, Sites, Vector
from sna_eval.intervention.devices import input_device
from sna_eval.intervention.rows import Tokens
from sna_eval.neurons import Pooling, Selected, TokenRow

Parameter = Vector | str
"""What a method learned: numbers, or a text."""


@dataclass(frozen=True)
class Question:
    """A development item as it is scored: a context, its possible continuations, the right one."""

    context: str
    choices: tuple[str, ...]
    right: int
    described: int = 0
    """Where in the context the document's own text begins, behind a description of the task."""

    @property
    def shown(self) -> str:
        """The question with its answer, as an example among others."""
        return self.context[self.described :] + self.answer

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
    """Zero-shot prompts without the answer."""
    labels: tuple[int, ...] | None = None
    """Each prompt's right label, an index into `label_names`, -1 for a prompt without one; `None`
    for open answers."""
    label_names: tuple[str, ...] = ()
    """The labels, stripped of spaces."""
    questions: tuple[Question, ...] = ()
    """The items with their answers; empty for tasks that are not scored by log-likelihood."""
    delimiter: str = "\n\n"
    """What stands between examples in a prompt."""

    def of_label(self, label: int) -> tuple[str, ...]:
        """Prompts whose right answer is `label`."""
        labels = self.labels or ()
        return tuple(p for p, own in zip(self.prompts, labels, strict=True) if own == label)

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


def _own(look_up: Callable[[], Any]) -> Any:
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
    same: Callable[[Callable[[], Any]], Any] = _own
    """Looks something up so that all processes that hold the model together see the same."""

    @property
    def device(self) -> torch.device:
        return input_device(self.model)

    def rows(self, prompts: Sequence[str]) -> list[TokenRow]:
        """Tokenized prompts; empty ones are left out.

        **Raises:** `InputError` where none is left.
        """
        encoded = (self.encode(prompt) for prompt in prompts)
        kept = [self.clipped(row) for row in encoded if len(row)]
        if not kept:
            raise InputError(
                "select.prompts", expected="development prompts, not all of them empty",
                got=f"{len(prompts)} without a token", hint="name the neurons in the plan",
            )  # fmt: skip
        return kept

    def clipped(self, tokens: TokenRow) -> TokenRow:
        """The end of a text, as much of it as the model reads."""
        return tokens if self.max_length is None else tokens[-self.max_length :]

    def pair(self, context: str, continuation: str) -> tuple[Tokens, Tokens]:
        """Tokens of a context and of what follows it, divided where lm_eval divides them.

        Spaces that end a context belong to the continuation.
        """
        stripped = context.rstrip()
        continuation = context[len(stripped) :] + continuation
        before = tuple(self.encode(stripped))
        return before, tuple(self.encode(stripped + continuation))[len(before) :]

    def answered_row(self, question: Question) -> Row:
        """A question with its right answer as the only branch.

        **Raises:** `InputError` where one of the two is empty, or the model cannot read the answer.
        """
        context, continuation = self.pair(question.context, question.answer)
        if not context or not continuation:
            raise InputError(
                "select.prompts", expected="development items with a context and an answer",
                got=(question.context, question.answer),
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


@dataclass(frozen=True)
class Wanted:
    """What a plan's entry asks of its method."""

    layer: int
    options: Mapping[str, Any] = field(default_factory=dict)
    """The method's own options, none missing."""
    selection: str = "differential"
    """How neurons are ranked, for methods that choose some."""
    top_k: int = 10
    """Neurons per set."""
    pooling: Pooling = "mean"
    seed: int = 0
    """Which draw of random neurons, where the ranking is `random`."""


@dataclass(frozen=True)
class Resolution:
    """Neurons found, by label, or numbers, by name; and remarks for the plan file."""

    selected: Mapping[str, Selected] = field(default_factory=dict)
    """One set under `""`, or one set per label."""
    remarks: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """What a method other than a choice of neurons found."""
    layer: int | None = None
    """Layer the result belongs to, where it is not the one that was asked for."""
