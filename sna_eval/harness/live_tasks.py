"""The lm_eval task that a request belongs to, and what of it a plan may use.

lm_eval tells a model nothing about its tasks: a request carries a task's name and a document. A
plan with `select:` needs the task's development items, and a gate on the right answer needs to
know which answer is right. Both are asked of the task object itself, which is found among the live
objects of the process; so a task's own YAML is all that is needed, wherever it lies.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sna_eval.errors import InputError
from sna_eval.harness.items import Item
from sna_eval.methods import Examples, Question

MAX_EXAMPLES = 400
"""Development items used at most; of a larger split a fixed sample is drawn."""
TEXT_CHARACTERS = 1_000
"""What is read of a rolling text in development: some 250 tokens."""
_SEED = 42


class LiveTasks:
    """Remembers the tasks of one batch of requests, so that each is searched for once."""

    def __init__(self) -> None:
        self._tasks: dict[str, Any | None] = {}

    def of(self, instance: Any) -> Any | None:
        """The task that made a request, or `None` where no task did."""
        name = instance.task_name or ""
        if name not in self._tasks:
            self._tasks[name] = _find(instance)
        return self._tasks[name]

    def right_answer(self, item: Item) -> int:
        """Number of the request that is an item's right answer."""
        choices = item.choices
        if len(choices) == 1:
            return choices[0]
        task = self.of(item.instance)
        if task is None:
            raise InputError(
                "gate.signal",
                expected="a task that says which choice is right, for `target_prob` or `gold`",
                got=item.task,
                hint="use `margin`, `max_prob` or `entropy`",
            )
        return choices[gold_index(task, item.instance.doc)]


def _find(instance: Any) -> Any | None:
    from lm_eval.api.task import Task

    for candidate in gc.get_objects():
        # `__mro__` rather than isinstance: some live objects answer `__class__` with side effects
        if Task not in type(candidate).__mro__:
            continue
        if any(own is instance for own in getattr(candidate, "_instances", None) or ()):
            return candidate
    return None


def development_docs(task: Any) -> list[Any]:
    """Documents of a task that are not evaluated: validation or training items.

    Tasks without a test split are evaluated on their validation split, which then does not count.

    **Raises:** `InputError` where the task has none.
    """
    config = task.config
    splits = [config.validation_split] if task.has_test_docs() else []
    splits += [config.training_split]
    for split, docs in zip(splits, _documents(task), strict=True):
        if split is not None and split != config.test_split and docs is not None and len(docs):
            return _sample(docs)
    raise no_development_items(config.task)


def no_development_items(task: str) -> InputError:
    """The complaint about a task that neurons cannot be searched for."""
    return InputError(
        f"tasks.{task}.select.prompts",
        expected="development items (a validation or training split beside the evaluated one)",
        got="none",
        hint="add a split to the task, or name the neurons in the plan",
    )


def examples_of(task: Any) -> Examples:
    """Development items as zero-shot prompts, with their answers and labels where there are any."""
    docs = development_docs(task)
    prompts = tuple(prompt for doc in docs for prompt in _prompts(task, doc))
    asked = (_question(task, doc) for doc in docs) if _is_scored(task) else ()
    questions = tuple(own for own in asked if own is not None)
    examples = Examples(prompts, questions=questions, delimiter=str(task.config.fewshot_delimiter))
    if task.OUTPUT_TYPE != "multiple_choice" or task.multiple_input:
        return examples
    names = tuple(str(choice).strip() for choice in task.doc_to_choice(docs[0]))
    same = all(
        tuple(str(choice).strip() for choice in task.doc_to_choice(doc)) == names for doc in docs
    )
    if not same:  # choices that differ from item to item are answers, not classes
        return examples
    return replace(examples, labels=tuple(gold_index(task, doc) for doc in docs), label_names=names)


def _prompts(task: Any, doc: Any) -> tuple[str, ...]:
    """A document's prompt; where the choices stand in front of the target, one for each choice."""
    if task.OUTPUT_TYPE == "loglikelihood_rolling":  # the text itself; there is no prompt
        return (str(task.doc_to_target(doc))[:TEXT_CHARACTERS],)
    if task.multiple_input:  # `doc_to_text` then is the number of the right one
        return tuple(str(choice) for choice in task.doc_to_choice(doc))
    return (str(task.doc_to_text(doc)),)


def _is_scored(task: Any) -> bool:
    """Whether answers are continuations of one context, scored by log-likelihood."""
    return task.OUTPUT_TYPE in ("loglikelihood", "multiple_choice") and not task.multiple_input


def _question(task: Any, doc: Any) -> Question | None:
    """A document's requests without few-shot examples; `None` where they have no context."""
    context = str(task.doc_to_text(doc))
    requests = task.construct_requests(doc=doc, ctx=context, metadata=(task.config.task, 0, 1))
    requests = requests if isinstance(requests, list) else [requests]
    pairs = [own.args[:2] for own in requests if own.args[0]]  # unconditional ones have no context
    if not pairs:
        return None
    right = gold_index(task, doc) if len(pairs) > 1 else 0
    return Question(pairs[0][0], tuple(continuation for _, continuation in pairs), right)


def gold_index(task: Any, doc: Any) -> int:
    """Number of the right choice of a document."""
    gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    if isinstance(gold, (list, tuple)):
        gold = gold[0]
    if isinstance(gold, str):
        gold = [str(choice) for choice in task.doc_to_choice(doc)].index(gold)
    return int(gold)


def _documents(task: Any) -> list[Sequence[Any] | None]:
    documents = [task.validation_docs()] if task.has_test_docs() else []
    return [*documents, task.training_docs()]


def _sample(docs: Sequence[Any]) -> list[Any]:
    if len(docs) <= MAX_EXAMPLES:
        return list(docs)
    chosen = random.Random(_SEED).sample(range(len(docs)), MAX_EXAMPLES)
    return [docs[number] for number in sorted(chosen)]
