"""lm_eval's `--use_cache`, made safe for a model whose answers depend on more than the text.

lm_eval keys its cache by the request's text alone, so answers of other plans, of `--model hf` and
of another task's intervention would be taken for one's own. Here its table is neither read nor
written; answers go to a table of their own in the same file, as JSON, keyed by model, task plan
and tokens.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sna_eval.harness.tasks.items import Item
from sna_eval.harness.values import Evidence, Score, evidence_of
from sna_eval.hashing import digest
from sna_eval.typed import build

Answers = list[tuple[float, bool]]
KeyOf = Callable[[Item], Any]


class ResponseCache:
    """Answers of items, on disk."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        with self._database as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS sna_answers (key TEXT PRIMARY KEY, answers TEXT)"
            )

    def complete(
        self,
        items: Sequence[Item],
        key_of: KeyOf,
        score: Callable[[Sequence[Item]], list[Answers]],
        on_hit: Callable[[Item, Answers], None],
    ) -> list[Answers]:
        """The answers of all items, scoring only those that are not kept yet."""
        keys = [digest(key_of(item)) for item in items]
        known = [self._read(key, len(item.requests)) for key, item in zip(keys, items, strict=True)]
        missing = [number for number, answers in enumerate(known) if answers is None]
        scored = score([items[number] for number in missing]) if missing else []
        fresh = dict(zip(missing, scored, strict=True))
        with self._database as database:
            for number, answers in fresh.items():
                row = (keys[number], _dump(answers))
                database.execute("INSERT OR REPLACE INTO sna_answers VALUES (?, ?)", row)
        for item, kept in zip(items, known, strict=True):
            if kept is not None:
                on_hit(item, kept)
        return [fresh[number] if kept is None else kept for number, kept in enumerate(known)]

    def _read(self, key: str, count: int) -> Answers | None:
        """So many answers, or `None` where there are none; damaged ones are scored anew."""
        query = "SELECT answers FROM sna_answers WHERE key = ?"
        row = self._database.execute(query, (key,)).fetchone()
        try:
            answers = _load(row[0]) if row else None
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None
        return answers if answers is not None and len(answers) == count else None


def take_over(cache_hook: Any) -> ResponseCache | None:
    """Makes lm_eval's cache object inert and opens the safe table in its file.

    **Returns:** `None` where no cache is in use.
    """
    from sqlitedict import SqliteDict

    table = getattr(cache_hook, "dbdict", None)
    if table is None:
        return None

    class Inert(SqliteDict):
        """Finds nothing and keeps nothing."""

        def __contains__(self, key: object) -> bool:
            return False

        def __setitem__(self, key: object, value: object) -> None:
            return

    table.__class__ = Inert
    return ResponseCache(table.filename)


def _dump(answers: Answers) -> str:
    rows = []
    for value, greedy in answers:
        evidence = evidence_of(value)
        rows.append([float(value), greedy, asdict(evidence) if evidence else None])
    return json.dumps(rows)


def _load(text: str) -> Answers:
    return [
        (Score(value, build(Evidence, evidence)) if evidence else float(value), bool(greedy))
        for value, greedy, evidence in json.loads(text)
    ]
