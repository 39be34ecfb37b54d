"""A server's answers, kept as they come: a run that breaks off asks only for what is missing.

They lie in the file of lm_eval's `--use_cache`, in a table of their own, keyed by everything that
was sent and by what the server says of the model.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any


class KeptAnswers:
    """Answers by key; without a file nothing is kept."""

    def __init__(self, path: str | None = None) -> None:
        self._database: sqlite3.Connection | None = None
        if path is None:
            return
        # requests may run in another thread than the one that opened it, but never in two at once
        self._database = sqlite3.connect(path, check_same_thread=False)
        with self._database as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS sna_served (key TEXT PRIMARY KEY, answer TEXT)"
            )

    def get(self, key: str) -> list[Any] | None:
        """An answer's fields; `None` where there is none, or it is damaged."""
        if self._database is None:
            return None
        query = "SELECT answer FROM sna_served WHERE key = ?"
        row = self._database.execute(query, (key,)).fetchone()
        try:
            found = json.loads(row[0]) if row else None
        except (ValueError, TypeError, RecursionError):
            return None
        return found if isinstance(found, list) else None

    def put(self, answers: Mapping[str, list[Any]]) -> None:
        """Keeps some answers, on disk when this returns."""
        if self._database is None or not answers:
            return
        rows = [(key, json.dumps(answer)) for key, answer in answers.items()]
        with self._database as database:
            database.executemany("INSERT OR REPLACE INTO sna_served VALUES (?, ?)", rows)
