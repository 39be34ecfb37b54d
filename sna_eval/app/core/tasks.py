"""The bundled tasks: what neurons are searched on, and items to start from."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from sna_eval.app.core.question import TypedQuestion
from sna_eval.harness.tasks.live_tasks import development_docs, examples_of
from sna_eval.harness.tasks.right_answers import gold_index
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


@cache
def task_names() -> tuple[str, ...]:
    """All bundled tasks, groups left out."""
    names = (path.stem for path in tasks_path().glob("sna_*.yaml"))
    return tuple(sorted(name for name in names if name not in ("sna_all", "sna_generation")))


@cache
def development_examples(name: str) -> Examples:
    """A task's development items as prompts."""
    return examples_of(_task(name), MAX_PROMPTS)


def development_rows(name: str, lm: SNALM) -> list[Row]:
    """A task's development prompts, each with its right answer."""
    items = load_items(_task(name), lm, split="development", limit=MAX_PROMPTS, spread=True)
    return answered_rows(items, max_length=lm.max_length)


@cache
def task_questions(name: str, split: Split) -> tuple[TypedQuestion, ...]:
    """A task's items as questions."""
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
