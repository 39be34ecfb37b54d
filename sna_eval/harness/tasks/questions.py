"""What a task asks of a model, and what it holds for right, whether it is YAML or a Python class.

Classes (SQuAD 2, SCROLLS) make their requests themselves and say little of it in their config: that
they are scored choices, or which of the choices is right, shows in the requests and the target.
lm_eval tells a model nothing about its tasks: a request carries a task's name and a document. What
is asked of the task object itself is asked of the one among the live objects of the process that
made the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sna_eval.clusters import cluster_labels, field_labels, metadata_field, normalized_answer
from sna_eval.errors import InputError
from sna_eval.gating import blind_signals
from sna_eval.harness.plugin.running import made, tasks_with_requests
from sna_eval.harness.tasks.items import Item
from sna_eval.registry import either

_KINDS: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_OTHER_SIGNALS = f"use {either(blind_signals())}"
"""What to do where it is not known which choice is right."""


FEWSHOT_SEED = 1234
"""What lm_eval seeds the draw of few-shot examples with, unless it is told otherwise."""


def seed_examples(task: Any) -> None:
    """The task's few-shot examples are drawn from the first again, as in an evaluation.

    lm_eval seeds tasks when it evaluates them, not when they are loaded: until then each process
    draws examples of its own.
    """
    task.set_fewshot_seed(FEWSHOT_SEED)


def output_type(task: Any) -> str:
    """The kind of a task, as lm_eval names it: `multiple_choice`, `generate_until`, ...

    A class that makes its own requests may say `generate_until`, lm_eval's default, and ask for
    log-likelihoods alone: then the kind goes by the requests of its first document.
    """
    from lm_eval.api.task import ConfigurableTask

    said = str(task.OUTPUT_TYPE)
    if getattr(type(task), "construct_requests", None) is ConfigurableTask.construct_requests:
        return said
    if task not in _KINDS:
        _KINDS[task] = _by_requests(task) or said
    return _KINDS[task]


def _by_requests(task: Any) -> str | None:
    doc = next(iter(task.eval_docs))
    made = requests_of(task, doc, zero_shot(task, doc))
    if any(request.request_type != "loglikelihood" for request in made):
        return None
    return "multiple_choice" if len(made) > 1 else "loglikelihood"


def zero_shot(task: Any, doc: Any) -> Any:
    """What lm_eval sends without examples; one for each choice where choices stand in front."""
    if getattr(task, "fewshot_rnd", None) is None:  # not even a draw of none does without a seed
        seed_examples(task)
    return task.fewshot_context(doc, num_fewshot=0, gen_prefix=task.doc_to_prefix(doc))


def requests_of(task: Any, doc: Any, context: Any, **options: Any) -> list[Any]:
    """The requests that a task makes of a document."""
    asked = {"metadata": (task.config.task, 0, 1), **options}
    made = task.construct_requests(doc=doc, ctx=context, **asked)
    return made if isinstance(made, list) else [made]


def right_text(task: Any, doc: Any) -> str | None:
    """A generated text's first right answer, as it continues a prompt; `None` where it has none.

    It has none where the list of answers is empty, the target missing or blank, or a number
    beyond the choices.
    """
    target = _first(task.doc_to_target(doc))
    if task.config.doc_to_choice is not None and isinstance(target, int):
        choices = task.doc_to_choice(doc)
        target = choices[target] if target in range(len(choices)) else None
    text = "" if target is None else str(target)
    if not text.strip():
        return None
    # classes write the space into the target: twice it would be another answer
    return text if text[0].isspace() else f"{task.config.target_delimiter}{text}"


def _first(target: Any) -> Any:
    """The first of several right answers that says something."""
    if not isinstance(target, (list, tuple)):
        return target
    found = (_first(answer) for answer in target)
    return next((answer for answer in found if answer is not None and str(answer).strip()), None)


def named_by_target(target: Any, continuations: Sequence[str]) -> int | None:
    """The one continuation that is the target itself, but for spaces around it.

    So a right answer is known of classes that name no choices.
    """
    if not isinstance(target, str):
        return None
    texts = [continuation.strip() for continuation in continuations]
    return texts.index(target.strip()) if texts.count(target.strip()) == 1 else None


_MUTUAL_INFORMATION = "acc_mutual_info"


def offers_choices(task: Any) -> bool:
    """Whether a task is one of choices, a document with a single one included."""
    return getattr(task, "OUTPUT_TYPE", None) == "multiple_choice"


def unconditional_requests(task: Any, doc: Any, count: int) -> int:
    """How many of a document's requests, the last ones, ask for a choice without its context.

    lm_eval asks so for every choice once more where accuracy by mutual information is reported.

    **Arguments:**

    - `count`: requests of the document, all of them.
    """
    if _MUTUAL_INFORMATION not in (*getattr(task, "_metric_fn_list", ()), *task.aggregation()):
        return 0
    choices = len(choices_of(task, doc))
    return choices if count == 2 * choices else 0


def right_request(task: Any, item: Item) -> int | None:
    """Number of the request that is an item's right answer; `None` where none is."""
    asked = [item.requests[number].continuation_text for number in item.choices]
    number = right_of(task, item.instance.doc, asked)
    return None if number is None else item.choices[number]


def right_of(task: Any, doc: Any, continuations: Sequence[str]) -> int | None:
    """Number of a document's right continuation, `None` where none is; the only one is right."""
    if len(continuations) == 1:
        return 0
    if choices_of(task, doc):
        return gold_index(task, doc)
    return named_by_target(target_of(task, doc), continuations)


def gold_index(task: Any, doc: Any) -> int | None:
    """Number of a document's right choice; of several the first.

    `None` where the target is no choice: another word, a number beyond them, a label -1. lm_eval
    scores such a document as wrong whatever is answered.
    """
    gold, choices = target_of(task, doc), choices_of(task, doc)
    several = gold if isinstance(gold, (list, tuple)) else [gold]
    numbers = (_choice_number(answer, choices) for answer in several)
    return next((number for number in numbers if number is not None), None)


def target_of(task: Any, doc: Any) -> Any:
    """A document's target: a number, a word, or several."""
    several = getattr(task, "multiple_input", False)
    return task.doc_to_text(doc) if several else task.doc_to_target(doc)


def _choice_number(gold: Any, choices: Sequence[str]) -> int | None:
    if isinstance(gold, str):
        return choices.index(gold) if gold in choices else None
    return int(gold) if gold in range(len(choices)) else None


def choices_of(task: Any, doc: Any) -> list[str]:
    """A document's choices; none where a class of its own asks for others than `doc_to_choice`."""
    from lm_eval.api.task import ConfigurableTask

    named = getattr(type(task), "doc_to_choice", None)
    if named is None:
        return []
    inherited = named is ConfigurableTask.doc_to_choice
    if inherited and task.config.doc_to_choice is None and task.prompt is None:
        return []
    return [str(choice) for choice in task.doc_to_choice(doc)]


class LiveTasks:
    """Remembers the tasks of one batch of requests, so that each is searched for once."""

    def __init__(self) -> None:
        self._tasks: dict[str, Any | None] = {}
        self._alive: list[Any] | None = None

    def of(self, instance: Any) -> Any | None:
        """The task that made a request, or `None` where no task did."""
        name = instance.task_name or ""
        if name not in self._tasks:
            if self._alive is None:  # every object of the process is looked at: once for all tasks
                self._alive = tasks_with_requests()
            self._tasks[name] = next((task for task in self._alive if made(task, instance)), None)
        return self._tasks[name]

    def unconditional(self, instance: Any, count: int) -> int:
        """How many of a document's requests ask for a choice without its context."""
        task = self.of(instance)
        return 0 if task is None else unconditional_requests(task, instance.doc, count)

    def offers_choices(self, instance: Any) -> bool:
        """Whether the task that made a request is one of choices."""
        return offers_choices(self.of(instance))

    def right_answer(self, item: Item) -> int:
        """Number of the request that is an item's right answer."""
        asked = [item.requests[number].continuation_text for number in item.choices]
        return item.choices[self.right_of(item.instance, asked)]

    def right_of(self, instance: Any, continuations: Sequence[str]) -> int:
        """Number of the continuation that is a document's right answer.

        **Raises:** `InputError` where none is.
        """
        if len(continuations) == 1:
            return 0
        task = self.of(instance)
        if task is None:
            raise InputError(
                "gate.signal",
                expected="a task that says which choice is right, for `target_prob` or `gold`",
                got=instance.task_name or "",
                hint=_OTHER_SIGNALS,
            )
        number = right_of(task, instance.doc, continuations)
        if number is None:
            raise _no_right_answer(task, instance)
        return number

    def question(self, item: Item) -> str | None:
        """An item's own text, which its contexts end with; `None` where that is not known."""
        task = self.of(item.instance)
        if task is None or getattr(task, "multiple_input", False):
            return None
        return str(task.doc_to_text(item.instance.doc))


def _no_right_answer(task: Any, instance: Any) -> InputError:
    """The complaint about a document whose right answer is none of its choices."""
    return InputError(
        instance.task_name or "request",
        expected="a right answer that is one of `doc_to_choice`",
        got=target_of(task, instance.doc),
        hint=f"document {instance.doc_id}: {_OTHER_SIGNALS}",
    )


def document_labels(task: Any, docs: Sequence[Any], field: str | None = None) -> tuple[str, ...]:
    """The label of each document of a task; see `cluster_labels`.

    **Arguments:**

    - `field`: of the documents, that says it; `None`: the one that the task's metadata names, where
        all documents have it, or else the right answer. A document without one stands for itself.
    """
    named = metadata_field(task.config.metadata)
    if named is not None and all(isinstance(doc, Mapping) and named in doc for doc in docs):
        field = field or named
    if field is not None:
        return field_labels(docs, field, task.config.task)
    if output_type(task) == "loglikelihood_rolling":
        return tuple(normalized_answer(str(task.doc_to_target(doc))) for doc in docs)
    choices = [choices_of(task, doc) for doc in docs]
    answers = [
        _answer(task, doc, of_doc, number)
        for number, (doc, of_doc) in enumerate(zip(docs, choices, strict=True))
    ]
    return cluster_labels(answers, choices)


def _answer(task: Any, doc: Any, choices: Sequence[str], number: int) -> str:
    if not choices:
        right = right_text(task, doc)
    else:
        gold = gold_index(task, doc)
        right = None if gold is None else choices[gold]
    return f"item {number}" if right is None else right
