"""The bundled tasks: what neurons are searched on, and items to start from."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from sna_eval.app.core.question import TypedQuestion
from sna_eval.harness.tasks.development import Half, development_docs, examples_of
from sna_eval.harness.tasks.questions import gold_index
from sna_eval.intervention.rows import Row
from sna_eval.measuring.items import answered_rows, load_items
from sna_eval.methods import Examples
from sna_eval.neurons import MAX_PROMPTS
from sna_eval.paths import tasks_path

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

Split = Literal["development", "test"]
FIRST_TASK = "sna_math_easy"
"""The task that a first look's neurons are found on."""
SPLITS: tuple[Split, ...] = ("development", "test")
_GROUPS = ("sna_all", "sna_generation")
_JUDGED_BY_RULES = ("sna_instruct",)
"""Tasks whose items have no right answer to ask the probability of."""


@cache
def task_names() -> tuple[str, ...]:
    """All bundled tasks, groups left out."""
    names = (path.stem for path in tasks_path().glob("sna_*.yaml"))
    return tuple(sorted(name for name in names if name not in _GROUPS))


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
