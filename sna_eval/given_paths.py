"""Paths as users type them: some name nothing, and some are no paths at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def expanded(typed: str | Path) -> Path:
    """With the home folder for `~`; the home of nobody stays as it was typed."""
    path = Path(typed)
    with suppress(RuntimeError):
        path = path.expanduser()
    return path


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
