"""What a folder was begun with: whoever goes on in it measures in the same way, or elsewhere.

Numbers may depend on the installed software too.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError
from sna_eval.typed import Json


def check_same(there: Json, here: Json, *, where: Path) -> None:
    """Raises `InputError` with the first setting that differs, by its dotted key.

    **Arguments:**

    - `there`: settings that stand in the folder.
    - `here`: settings of what is to go on there.
    """
    before, after = _flat(there), _flat(here)
    for key in {**before, **after}:
        if before.get(key) != after.get(key):
            raise InputError(
                f"output.{key}",
                expected=f"{before.get(key)!r}, as {where} was begun with",
                got=after.get(key),
                hint="resume with the same settings, or name another folder",
            )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """A nested mapping's leaves by dotted key."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for key, entry in value.items():
        leaves |= _flat(entry, f"{prefix}.{key}" if prefix else str(key))
    return leaves


_VERSIONED = ("sna-eval", "torch", "transformers", "lm_eval")


def versions(*more: str) -> dict[str, str]:
    """Versions by name: Python's, this package's and its foundations', and those of `more`."""
    names = (*_VERSIONED, *more)
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
