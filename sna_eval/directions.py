"""Whose neurons an intervention amplifies, where neurons belong to labels.

A label's name stands for that label's. Beside the names there are `both` labels', those of the
label that the unmodified model `predicted`, and the right answer's, `gold`.
"""

from __future__ import annotations

BOTH = "both"
PREDICTED = "predicted"
GOLD = "gold"


def follows_answer(direction: str) -> bool:
    """Whether it depends on the right answer: what it gains is an oracle's gain."""
    return direction == GOLD


def follows_choices(direction: str) -> bool:
    """Whether it differs from item to item, by the item's choices."""
    return direction == PREDICTED or follows_answer(direction)
