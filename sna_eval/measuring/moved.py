"""How work tells what of it is done, so that a bar moves."""

from __future__ import annotations

from collections.abc import Callable

Moved = Callable[[float], object]
"""Told of what is done, in parts of one."""


def scaled(moved: Moved | None, factor: float) -> Moved | None:
    """What is told of parts that are each so much of one."""
    return None if moved is None else lambda done: moved(done * factor)


def ticking(moved: Moved | None) -> Moved | None:
    """What is told of work whose length nobody knows: its bar is drawn anew where it stands."""
    return None if moved is None else lambda done: moved(0.0)
