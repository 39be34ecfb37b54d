"""A task's development documents, and the prompts that neurons are searched on.

Both are asked of the task object itself, so a task's own YAML is all that is needed, wherever it
lies.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sna_eval.clusters import fold_numbers
from sna_eval.errors import InputError
from sna_eval.harness.tasks.contexts import Contexts, left_out_of_its_own_examples
from sna_eval.harness.tasks.questions import (
    choices_of,
    document_labels,
    gold_index,
    output_type,
    right_of,
    seed_examples,
    unconditional_requests,
    zero_shot,
)
from sna_eval.methods import Examples, Question
from sna_eval.neurons import spread_over

MAX_EXAMPLES = 400
"""Development items used at most; of a larger split a fixed sample is drawn."""
TEXT_CHARACTERS = 1_000
"""What is read of a rolling text in development: some 250 tokens."""
_SEED = 42
_ROLLING = "loglikelihood_rolling"
_NO_LABEL = -1
"""Of a prompt whose right answer is no choice: it is of no class, and still of the task."""


Half = Literal["ranking", "choosing"]
"""Of the development items: neurons are ranked on one half, configurations chosen on the other."""
_FEWEST = 16  # documents that are worth two halves


def development_docs(
    task: Any, most: int | None = None, *, half: Half | None = None, cluster: str | None = None
) -> list[Any]:
    """Documents of a task that are not evaluated: validation or training items.

    Tasks without a test split are evaluated on their validation split, which then does not count,
    not even where it is the training split as well.

    **Arguments:**

    - `most`: so many at most, spread evenly over the split; `None`: `MAX_EXAMPLES` drawn from it.
    - `half`: of those drawn; the two share no answer. All of them where they cannot be halved.
    - `cluster`: field of the documents that says which go together; see `document_labels`.

    **Raises:** `InputError` where the task has none.
    """
    if half is not None:
        docs, part = halved(task, cluster)
        number = ("ranking", "choosing").index(half)
        kept = (
            docs
            if part is None
            else [doc for doc, p in zip(docs, part, strict=True) if p == number]
        )
        return kept if most is None else spread_over(kept, most)
    return _development_docs(task, most)


def halved(task: Any, cluster: str | None = None) -> tuple[list[Any], list[int] | None]:
    """A task's development documents, and the half that each belongs to.

    No half where there are few of them, or where so many share an answer that one of the halves
    would have nearly none.
    """
    docs = _development_docs(task, None)
    if len(docs) < _FEWEST:
        return docs, None
    part = fold_numbers(document_labels(task, docs, cluster), 2, seed=_SEED).tolist()
    return docs, part if min(part.count(0), part.count(1)) >= len(docs) / 4 else None


def _development_docs(task: Any, most: int | None) -> list[Any]:
    config = task.config
    tested = task.has_test_docs()
    evaluated = config.test_split if tested else config.validation_split
    splits = (
        (config.validation_split, tested and task.has_validation_docs(), task.validation_docs),
        (config.training_split, task.has_training_docs(), task.training_docs),
    )
    for split, there, documents in splits:
        if not there or (split is not None and split == evaluated):
            continue
        every = _counted(documents())
        docs = _sample(every) if most is None else spread_over(every, most)
        docs = docs if split is not None else _not_evaluated(task, docs)
        if docs:
            return docs
    raise no_development_items(config.task)


def _counted(docs: Any) -> Sequence[Any]:
    """Documents that can be counted: those of a class may come one by one, or not at all."""
    return docs if hasattr(docs, "__len__") else list(docs or ())


def _not_evaluated(task: Any, docs: Sequence[Any]) -> list[Any]:
    """Documents of a split that has no name, as classes have them, without evaluated ones."""
    evaluated = set(map(repr, task.eval_docs))
    return [doc for doc in docs if repr(doc) not in evaluated]


def no_development_items(task: str) -> InputError:
    """The complaint about a task that neurons cannot be searched for."""
    return InputError(
        f"tasks.{task}.select.prompts",
        expected="development items (a validation or training split beside the evaluated one)",
        got="none",
        hint="add a split to the task, or name the neurons in the plan",
    )


def examples_of(
    task: Any,
    most: int | None = None,
    *,
    half: Half | None = None,
    cluster: str | None = None,
    contexts: Contexts | None = None,
) -> Examples:
    """Development items as prompts, with their answers and labels where there are any.

    Prompts are what lm_eval sends: a task's description and few-shot examples are part of them, and
    so is a chat template. Where it sends nothing, or the choices themselves, a prompt is what it
    scores: with the right answer.

    **Arguments:**

    - `most`, `half`, `cluster`: as for `development_docs`.
    - `contexts`: how prompts are put together; `None`: as outside a chat.
    """
    docs = development_docs(task, most, half=half, cluster=cluster)
    contexts = contexts or Contexts()
    kind, several = output_type(task), getattr(task, "multiple_input", False)
    scored = kind in ("loglikelihood", "multiple_choice") and not several
    if task.config.num_fewshot:
        seed_examples(task)
    with left_out_of_its_own_examples(task):
        sent = [None if kind == _ROLLING else contexts.of_document(task, doc) for doc in docs]
    pairs = list(zip(docs, sent, strict=True))
    shown = [_prompt(task, doc, context, contexts) for doc, context in pairs]
    asked = (_question(task, doc, context, contexts) for doc, context in pairs if scored)
    questions = tuple(question for question in asked if question is not None)
    examples = Examples(
        tuple(prompt.text for prompt in shown),
        questions=questions,
        delimiter=str(task.config.fewshot_delimiter),
        unconditional=frozenset(n for n, prompt in enumerate(shown) if prompt.unconditional),
        whole=any(prompt.whole for prompt in shown),
        arguments={} if kind == _ROLLING else contexts.said(task),
    )
    if kind != "multiple_choice" or several:
        return examples
    names = _label_names(task, docs)
    if not names:
        return examples
    gold = (gold_index(task, doc) for doc in docs)
    labels = tuple(_NO_LABEL if label is None else label for label in gold)
    return replace(examples, labels=labels, label_names=names)


def _label_names(task: Any, docs: Sequence[Any]) -> tuple[str, ...]:
    """The classes that all documents choose from, stripped of spaces.

    There are none where choices differ from document to document: those are answers.
    """
    named = {tuple(choice.strip() for choice in choices_of(task, doc)) for doc in docs}
    return named.pop() if len(named) == 1 else ()


@dataclass(frozen=True)
class _Prompt:
    """What of a document is read to search on."""

    text: str
    unconditional: bool = False
    """Whether it stands behind no context."""
    whole: bool = False
    """Whether the right answer is part of it."""


def _prompt(task: Any, doc: Any, context: Any, contexts: Contexts) -> _Prompt:
    """A document's prompt; where that is empty, or the choices stand in it, all that is scored.

    A document without a right answer has no text then.
    """
    kind = output_type(task)
    if kind == _ROLLING:  # the text itself; there is no prompt
        return _Prompt(str(task.doc_to_target(doc))[:TEXT_CHARACTERS], unconditional=True)
    if kind == "generate_until":
        return _Prompt(context)
    if isinstance(context, str) and context.strip():
        return _Prompt(context.rstrip())  # spaces at its end are scored with the answer
    pairs = _scored(task, doc, context, contexts)
    right = right_of(task, doc, [behind for _, behind in pairs])
    if right is None:
        return _Prompt("")
    before, behind = pairs[right]
    return _Prompt(before + behind, unconditional=not before.strip(), whole=True)


def _scored(task: Any, doc: Any, context: Any, contexts: Contexts) -> list[tuple[str, str]]:
    """Context and continuation of a document's requests, those without their context left out."""
    pairs = [request.args[:2] for request in contexts.requests(task, doc, context)]
    return pairs[: len(pairs) - unconditional_requests(task, doc, len(pairs))]


def _question(task: Any, doc: Any, context: Any, contexts: Contexts) -> Question | None:
    """A document's requests; `None` where none of them is right."""
    pairs = _scored(task, doc, context, contexts)
    continuations = tuple(continuation for _, continuation in pairs)
    right = right_of(task, doc, continuations)
    if right is None:
        return None
    plain = zero_shot(task, doc) if contexts.prompting.chat else ""
    described = max(0, (plain or context).rfind(str(task.doc_to_text(doc))))
    return Question(pairs[0][0], continuations, right, described, plain)


def _sample(docs: Sequence[Any]) -> list[Any]:
    if len(docs) <= MAX_EXAMPLES:
        return list(docs)
    chosen = random.Random(_SEED).sample(range(len(docs)), MAX_EXAMPLES)
    return [docs[number] for number in sorted(chosen)]
