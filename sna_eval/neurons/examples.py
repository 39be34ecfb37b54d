"""What neurons are searched on: a task's development items."""

from __future__ import annotations

from dataclasses import dataclass

from sna_eval.errors import InputError


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
