"""What a task asks of a model, and what it holds for right, whether it is YAML or a Python class.

Classes (SQuAD 2, SCROLLS) make their requests themselves and say little of it in their config: that
they are scored choices, or which of the choices is right, shows in the requests and the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sna_eval.harness.plugin.seeding import seed_examples

_KINDS: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


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
