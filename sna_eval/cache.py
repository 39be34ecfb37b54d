"""What was found by searching and by trying, on disk, so that it costs its time only once.

An entry's name is the short hash of everything the result depends on: for neurons the model,
prompts, method, layer and count. Entries are JSON with a hash of what they say, written atomically;
a damaged one is found again. With `SNA_EVAL_NO_CACHE=1` nothing is read and nothing kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sna_eval.files import MIB, read_json, write_whole_json
from sna_eval.typed import Json

DIGITS = 16
"""Hexadecimal digits of a hash: 64 bits, ample against chance collisions."""
_LARGEST_ENTRY = 64 * MIB  # vectors of a method, as decimal numbers


def digest(value: Any) -> str:
    """Hash of plain JSON values."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:DIGITS]


def prompt_fingerprint(texts: Sequence[str]) -> str:
    """Hash of prompts, in order."""
    return digest(list(texts))


def cache_dir() -> Path:
    """Where entries lie: `$SNA_EVAL_CACHE`, else `sna-eval` in the user's cache folder."""
    chosen = os.environ.get("SNA_EVAL_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "sna-eval"
    except RuntimeError:  # a user without a name or home, as containers have
        return Path(tempfile.gettempdir()) / "sna-eval"


def read_entry(name: str) -> dict[str, Any] | None:
    """The entry, or `None` where there is none or it is not what was written."""
    if _switched_off():
        return None
    try:
        kept = read_json(cache_dir() / f"{name}.json", largest=_LARGEST_ENTRY)
        entry = kept["entry"]
        sound = kept["sha256"] == _hash(entry)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return entry if sound and isinstance(entry, dict) else None


def write_entry(name: str, entry: Json) -> None:
    """Writes an entry; where the folder cannot be written, it is simply not kept."""
    if _switched_off():
        return
    try:
        content = {"sha256": _hash(json.loads(json.dumps(entry))), "entry": entry}
        write_whole_json(cache_dir() / f"{name}.json", content)
    except OSError:
        return


def _switched_off() -> bool:
    return os.environ.get("SNA_EVAL_NO_CACHE", "") not in ("", "0")


def _hash(entry: Any) -> str:
    """Of an entry as it is read: with lists for tuples and texts for keys."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode("ascii")).hexdigest()
