"""Items that need no task: neutral sentences, each with its own ending and another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from sna_eval.harness.tasks.items import Item, group_items
from sna_eval.neurons import neutral_sentences, spread_over

_ENDING = 4
"""Words of a sentence that are its ending."""

Encode = Callable[[str, str], tuple[Sequence[int], Sequence[int]]]
"""Tokenizes a context and its continuation."""


def probe_items(task: str, count: int, encode: Encode) -> tuple[Item, ...]:
    """Items under a task's name; the first of two continuations is the sentence's own.

    **Arguments:**

    - `count`: how many, spread over the bundled sentences.
    """
    sentences = [text.split() for text in spread_over(neutral_sentences(), count)]
    instances: list[Any] = []
    encoded: list[Any] = []
    for number, words in enumerate(sentences):
        other = sentences[(number + 1) % len(sentences)]
        context = " ".join(words[:-_ENDING])
        for place, source in enumerate((words, other)):
            ending = " " + " ".join(source[-_ENDING:])
            instances.append(
                SimpleNamespace(
                    task_name=task, doc_id=number, idx=place, args=(context, ending), doc={}
                )
            )
            encoded.append(((context, ending), *map(list, encode(context, ending))))
    return group_items(instances, encoded).items
