"""lm_eval's file of `--use_cache`: where it lies, and its own table in it put out of use."""

from __future__ import annotations

from typing import Any


def take_over(cache_hook: Any) -> str | None:
    """Makes lm_eval's table find nothing and keep nothing.

    **Arguments:**

    - `cache_hook`: what lm_eval hands a model to report answers to.

    **Returns:** the file's path; `None` where no cache is in use.
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
    return str(table.filename)
