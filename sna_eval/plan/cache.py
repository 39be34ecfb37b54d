"""Resolved selections on disk, so that a plan with `select:` costs its search only once.

An entry's name is the hash of everything the result depends on: model, prompts, method, layer,
count, pooling. Entries are JSON, written atomically; a damaged one is searched for again.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def cache_dir() -> Path:
    """Where entries lie: `$SNA_EVAL_CACHE`, else `sna-eval` in the user's cache folder."""
    chosen = os.environ.get("SNA_EVAL_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "sna-eval"


def read_entry(name: str) -> dict[str, Any] | None:
    """The entry, or `None` where there is none or it cannot be read."""
    try:
        entry = json.loads((cache_dir() / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return entry if isinstance(entry, dict) else None


def write_entry(name: str, entry: Mapping[str, Any]) -> None:
    """Writes an entry; where the folder cannot be written, the search is simply not kept."""
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
            json.dump(entry, file)
        Path(file.name).replace(folder / f"{name}.json")
    except OSError:
        return
