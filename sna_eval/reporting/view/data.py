"""A run's items as the page holds them: columns to sort and filter by, and texts in blocks.

The columns of all items are read when the page opens. Prompts and answers lie in compressed blocks
of some hundred items each, and only those of the items in sight are unpacked.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sna_eval.study.results.answers import ItemAnswers

_BLOCK = 256 * 1024
"""Characters of a block at least, before it is compressed, where it is not the last one."""
_DIGITS = 7
"""That numbers are shown by: more would double the page."""


@dataclass
class TaskColumns:
    """The items of one task and filter, in the order of the file."""

    task: str
    filter: str
    higher_is_better: dict[str, bool | None]
    doc: list[int] = field(default_factory=list)
    zone: list[int] = field(default_factory=list)
    """0 where there is none."""
    open: list[int] = field(default_factory=list)
    confidence: list[float | None] = field(default_factory=list)
    shift: list[float] = field(default_factory=list)
    scores: dict[str, list[tuple[float | None, float | None]]] = field(default_factory=dict)
    """Per metric the value of each item, before and after."""

    def add(self, item: ItemAnswers) -> None:
        number = len(self.doc)
        self.doc.append(item.doc)
        self.zone.append(item.zone or 0)
        self.open.append(int(item.amplified))
        self.confidence.append(_rounded(item.confidence))
        self.shift.append(_rounded(item.shift) or 0.0)
        for name in item.scores:
            self.scores.setdefault(name, [(None, None)] * number)
        for name, column in self.scores.items():
            before, after = item.scores.get(name, (None, None))
            column.append((_rounded(before), _rounded(after)))

    def as_json(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "filter": self.filter,
            "doc": self.doc,
            "zone": self.zone,
            "open": self.open,
            "confidence": self.confidence,
            "shift": self.shift,
            "scores": [
                {
                    "name": name,
                    "higher": self.higher_is_better.get(name) is not False,
                    "before": [before for before, _ in column],
                    "after": [after for _, after in column],
                }
                for name, column in self.scores.items()
            ],
        }


def item_texts(item: ItemAnswers) -> dict[str, Any]:
    """What the page shows of an item beside its columns; what is not there is left out."""
    content: dict[str, Any] = {"prompt": item.prompt, "target": item.target}
    if item.texts is not None:
        texts = item.texts
        content |= {"before": texts.before, "after": texts.after}
        if (texts.before_taken, texts.after_taken) != (None, None):
            content["taken"] = [texts.before_taken, texts.after_taken]
    if item.choices:
        content["choices"] = [
            [choice.text, _rounded(choice.before), _rounded(choice.after)]
            for choice in item.choices
        ]
        content["gold"] = item.gold
    return content


class Blocks:
    """Texts of items, packed as they come."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        """Number of the first item of each block."""
        self.packed: list[str] = []
        self._count = 0
        self._waiting: list[str] = []
        self._size = 0

    def add(self, item: ItemAnswers) -> None:
        text = json.dumps(item_texts(item), separators=(",", ":"))
        self._waiting.append(text)
        self._count += 1
        self._size += len(text)
        if self._size >= _BLOCK:
            self.close()

    def close(self) -> None:
        """Packs what is waiting."""
        if self._waiting:
            self.starts.append(self._count - len(self._waiting))
            self.packed.append(packed(f"[{','.join(self._waiting)}]"))
            self._waiting, self._size = [], 0


def packed(text: str) -> str:
    """A text compressed, in characters that no markup can be made of; the same for the same."""
    return base64.b64encode(gzip.compress(text.encode("ascii"), 6, mtime=0)).decode("ascii")


def as_index(run: dict[str, Any], tasks: Sequence[TaskColumns], blocks: Blocks) -> str:
    """All that the page has to know before it shows anything."""
    content = {
        "run": run,
        "tasks": [task.as_json() for task in tasks],
        "blocks": blocks.starts,
    }
    return packed(json.dumps(content, separators=(",", ":"), allow_nan=False))


def scripts(index: str, blocks: Blocks) -> Iterator[str]:
    """The data as elements of the page."""
    kind = 'type="application/octet-stream"'
    yield f'<script {kind} id="index">{index}</script>'
    for number, block in enumerate(blocks.packed):
        yield f'<script {kind} id="block-{number}">{block}</script>'


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")
