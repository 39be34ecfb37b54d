"""What is asked of the model: a prompt, its target, and where there are choices the other ones.

A question is typed, or an item of a bundled task; neurons are searched on these tasks too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from sna_eval.errors import InputError
from sna_eval.files import tasks_path
from sna_eval.harness.plugin.stand_in import encoded
from sna_eval.harness.tasks.development import Half, development_docs, examples_of
from sna_eval.harness.tasks.items import group_items
from sna_eval.harness.tasks.questions import gold_index
from sna_eval.intervention.rows import Row
from sna_eval.measuring.items import TaskItems, answered_rows, load_items
from sna_eval.methods import Examples
from sna_eval.neurons import MAX_PROMPTS

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


Split = Literal["development", "test"]
FIRST_TASK = "sna_math_easy"
"""The task that a first look's neurons are found on."""
SPLITS: tuple[Split, ...] = ("development", "test")
_NO_QUESTIONS = ("sna_all", "sna_generation", "sna_ambiguous")
"""Groups, and what tasks are made of."""
_JUDGED_BY_RULES = ("sna_instruct",)
"""Tasks whose items have no right answer to ask the probability of."""


@cache
def task_names() -> tuple[str, ...]:
    """The bundled tasks with development and test items."""
    names = (path.stem for path in tasks_path().glob("sna_*.yaml"))
    return tuple(sorted(name for name in names if name not in _NO_QUESTIONS))


def question_tasks() -> tuple[str, ...]:
    """The tasks whose items are questions with a right answer."""
    return tuple(name for name in task_names() if name not in _JUDGED_BY_RULES)


@cache
def development_examples(name: str, half: Half | None = None) -> Examples:
    """A task's development items, or half of them, as prompts."""
    return examples_of(_task(name), MAX_PROMPTS, half=half)


def development_rows(name: str, lm: SNALM, half: Half | None = None) -> list[Row]:
    """The prompts of `development_examples`, each with its right answer."""
    items = load_items(
        _task(name), lm, split="development", limit=MAX_PROMPTS, spread=True, half=half
    )
    return answered_rows(items, max_length=lm.max_length)


@cache
def task_questions(name: str, split: Split) -> tuple[TypedQuestion, ...]:
    """A task's items as questions; the task is one of `question_tasks`."""
    task = _task(name)
    docs = development_docs(task) if split == "development" else list(task.eval_docs)
    return tuple(_question(task, doc) for doc in docs)


def _question(task: Any, doc: Any) -> TypedQuestion:
    prompt = str(task.doc_to_text(doc))
    delimiter = task.config.target_delimiter
    if task.OUTPUT_TYPE != "multiple_choice":
        return TypedQuestion(prompt, f"{delimiter}{task.doc_to_target(doc)}")
    choices = [f"{delimiter}{choice}" for choice in task.doc_to_choice(doc)]
    gold = gold_index(task, doc)
    assert gold is not None, "the right answer of every bundled item is one of its choices"
    target = choices.pop(gold)
    return TypedQuestion(prompt, target, tuple(choices))


@cache
def _task(name: str) -> Any:
    from sna_eval.harness.loading import load_tasks

    return load_tasks([name], only_bundled=True)[name]
