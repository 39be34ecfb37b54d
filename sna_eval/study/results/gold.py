"""Which choice is right: lm_eval writes its number, its words, or a list of numbers, as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def gold_choice(target: Any, choices: Sequence[str]) -> int | None:
    """Number of the right choice; `None` where there are not several, or it is none of them.

    lm_eval writes a target as text, also a list of numbers; of several right choices the first
    counts, as in `harness.tasks.questions.gold_index`.
    """
    if len(choices) < 2:
        return None
    numbers = (_choice_number(one, choices) for one in _several(str(target).strip()))
    return next((number for number in numbers if number is not None), None)


def _several(shown: str) -> list[str]:
    """The entries of a list of numbers, or the text itself."""
    if not shown.startswith("["):
        return [shown]
    try:
        return [str(entry) for entry in json.loads(shown)]
    except (ValueError, RecursionError):
        return [shown]


def _choice_number(shown: str, choices: Sequence[str]) -> int | None:
    if shown.isdecimal() and len(shown) < 6 and int(shown) < len(choices):
        return int(shown)
    return next((n for n, choice in enumerate(choices) if choice.strip() == shown), None)
