"""What is asked of the model: a prompt, its target, and where there are choices the other ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sna_eval.errors import InputError
from sna_eval.harness.plugin.stand_in import encoded
from sna_eval.harness.tasks.items import group_items
from sna_eval.measuring.items import TaskItems

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

LONGEST_TEXT = 20_000
"""Characters of a prompt or a target; more than any model here reads, and quick to tokenize."""


@dataclass(frozen=True)
class TypedQuestion:
    """One item, exactly as it is scored: nothing is put between prompt and target."""

    prompt: str
    target: str
    """The right continuation, with the space it begins with."""
    others: tuple[str, ...] = ()
    """The wrong choices, each with its space; empty for an open answer."""

    def __post_init__(self) -> None:
        for field, text in (("prompt", self.prompt), ("target", self.target)):
            if not text.strip():
                raise InputError(field, expected="a text", got=text, hint=_HINTS[field])
            if len(text) > LONGEST_TEXT:
                raise InputError(
                    field,
                    expected=f"at most {LONGEST_TEXT:,} characters",
                    got=f"{len(text):,} characters",
                    hint="shorten it",
                )
        for text in (self.prompt, *self.choices):
            if not _is_unicode(text):
                raise InputError("text", expected="whole Unicode characters", got=text)
        if len(set(self.choices)) != len(self.choices) or not all(map(str.strip, self.others)):
            raise InputError("other choices", expected="distinct texts", got=list(self.choices))

    @property
    def choices(self) -> tuple[str, ...]:
        """All continuations, the right one first."""
        return (self.target, *self.others)


def _is_unicode(text: str) -> bool:
    """Whether no half of a character stands alone, as JSON can write it and no tokenizer reads."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


_HINTS = {
    "prompt": "type the text that the model should continue",
    "target": "type the continuation whose probability is wanted",
}


def typed_question(
    prompt: str, target: str, others: Sequence[str] = (), *, space: bool
) -> TypedQuestion:
    """A question from what was typed.

    **Arguments:**

    - `space`: whether a continuation that begins with none gets a space in front.
    """
    continuations = [_spaced(text) if space else text for text in (target, *others)]
    return TypedQuestion(prompt, continuations[0], tuple(continuations[1:]))


def question_items(lm: SNALM, questions: Sequence[TypedQuestion], *, task: str) -> TaskItems:
    """Questions as the evaluation scores them: encoded by lm_eval, grouped into items.

    **Arguments:**

    - `task`: the name that the items' plan goes by.
    """
    from lm_eval.api.instance import Instance

    instances = [
        Instance("loglikelihood", {}, (question.prompt, choice), place, (task, number, 1))
        for number, question in enumerate(questions)
        for place, choice in enumerate(question.choices)
    ]
    items = group_items(instances, encoded(lm, instances)).items
    return TaskItems(items, (0,) * len(items))


def _spaced(text: str) -> str:
    return text if not text.strip() or text[0].isspace() else f" {text}"
