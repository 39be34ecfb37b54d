"""How often test items stand in the training text, word for word.

Counts prompt and target together as one string, not inside a longer word or number, over all
training documents with their repetitions. It does not look for paraphrases.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from task_items import Item

from .documents import Document


@dataclass(frozen=True)
class Occurrences:
    """Counts over the test items of one task."""

    items: int
    present: int
    """Items that occur at least once."""
    total: int
    """Occurrences of all items together."""


def count_occurrences(
    documents: Iterable[Document], tasks: dict[str, list[Item]]
) -> dict[str, Occurrences]:
    """Occurrences of each task's items in the documents."""
    texts = _joined_by_repeats(Counter(document.text for document in documents))
    return {name: _count(texts, items) for name, items in tasks.items()}


def _joined_by_repeats(texts: Counter[str]) -> dict[int, str]:
    """Number of repeats -> all texts repeated so often, as one string: few long searches."""
    groups: dict[int, list[str]] = {}
    for text, repeats in texts.items():
        groups.setdefault(repeats, []).append(text)
    return {repeats: "\0".join(group) for repeats, group in groups.items()}


def _count(texts: dict[int, str], items: list[Item]) -> Occurrences:
    counts = [_count_string(texts, item.prompt + item.target) for item in items]
    return Occurrences(len(items), sum(count > 0 for count in counts), sum(counts))


def _count_string(texts: dict[int, str], string: str) -> int:
    pattern = re.compile(rf"(?<!\w){re.escape(string)}(?!\w)")
    return sum(
        len(pattern.findall(text)) * repeats for repeats, text in texts.items() if string in text
    )
