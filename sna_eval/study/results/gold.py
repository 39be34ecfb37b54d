"""Which choice is right: lm_eval writes its number, or its words, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def gold_choice(target: Any, choices: Sequence[str]) -> int | None:
    """Number of the right choice; `None` where there are not several, or it is none of them."""
    if len(choices) < 2:
        return None
    shown = str(target).strip()
    if shown.isdecimal() and len(shown) < 6 and int(shown) < len(choices):
        return int(shown)
    return next((n for n, own in enumerate(choices) if own.strip() == shown), None)
