"""lm_eval's `--use_cache`, made safe for a model whose answers depend on more than the text.

lm_eval keys its cache by the request's text alone, so answers of other plans, of `--model hf` and
of another task's intervention would be taken for one's own. Here its table is neither read nor
written; answers go to a table of their own in the same file, as JSON, keyed by model, task plan
and tokens. They are written while a run goes on: one that is killed is gone on with.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

from sna_eval.cache import digest
from sna_eval.harness.tasks.items import Item
from sna_eval.harness.values import Evidence, Score, evidence_of
from sna_eval.typed import build

Answers = list[tuple[float, bool]]
Keep = Callable[[str, Any], None]
"""Writes a value of plain JSON under a key."""
T = TypeVar("T")
_SECONDS = 1.0
"""Between two writes to disk, each of which takes some milliseconds."""


class ResponseCache:
    """Answers on disk, by their keys."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        with self._database as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS sna_answers (key TEXT PRIMARY KEY, answers TEXT)"
            )

    def read(self, key: str, load: Callable[[Any], T]) -> T | None:
        """What is kept under a key; `None` where nothing is, or where it is damaged.

        **Arguments:**

        - `load`: makes it of plain JSON values, and raises `ValueError` or `TypeError` for others.
        """
        query = "SELECT answers FROM sna_answers WHERE key = ?"
        row = self._database.execute(query, (key,)).fetchone()
        try:
            return load(json.loads(row[0])) if row else None
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None

    @contextmanager
    def keeping(self) -> Iterator[Keep]:
        """What the body keeps is on disk when it ends, however it ends; until then, bit by bit.

        No lock is held between two writes: a batch may take minutes.
        """
        waiting: list[tuple[str, str]] = []
        written = time.monotonic()

        def write() -> None:
            nonlocal written
            with self._database as database:
                database.executemany("INSERT OR REPLACE INTO sna_answers VALUES (?, ?)", waiting)
            waiting.clear()
            written = time.monotonic()

        def keep(key: str, value: Any) -> None:
            waiting.append((key, json.dumps(value)))
            if time.monotonic() - written >= _SECONDS:
                write()

        try:
            yield keep
        finally:
            write()

    def complete(
        self,
        items: Sequence[Item],
        key_of: Callable[[Item], Any],
        score: Callable[[Sequence[Item]], Iterator[tuple[int, Answers]]],
        on_hit: Callable[[Item, Answers], None],
    ) -> list[Answers]:
        """The answers of all items, scoring only those that are not kept yet.

        **Arguments:**

        - `key_of`: what an item's answers depend on, as plain JSON values.
        - `score`: yields the number of each item that it is given, and its answers.
        """
        keys = [digest(key_of(item)) for item in items]
        known = [
            self.read(key, lambda kept, item=item: _load(kept, len(item.requests)))  # type: ignore[misc]
            for key, item in zip(keys, items, strict=True)
        ]
        missing = [number for number, answers in enumerate(known) if answers is None]
        fresh: dict[int, Answers] = {}
        if missing:
            with self.keeping() as keep:
                for place, answers in score([items[number] for number in missing]):
                    fresh[missing[place]] = answers
                    keep(keys[missing[place]], _dump(answers))
        for item, kept in zip(items, known, strict=True):
            if kept is not None:
                on_hit(item, kept)
        return [fresh[number] if kept is None else kept for number, kept in enumerate(known)]


def _dump(answers: Answers) -> list[list[Any]]:
    evidence = [evidence_of(value) for value, _ in answers]
    return [
        [float(value), greedy, asdict(carried) if carried else None]
        for (value, greedy), carried in zip(answers, evidence, strict=True)
    ]


def _load(rows: Any, count: int) -> Answers:
    answers = [
        (Score(value, build(Evidence, evidence)) if evidence else float(value), bool(greedy))
        for value, greedy, evidence in rows
    ]
    if len(answers) != count:
        raise ValueError(f"{len(answers)} answers, not {count}")
    return answers
