"""How numbers stand in tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sna_eval.study.statistics import Interval

UNKNOWN = "-"


def number(value: float | None) -> str:
    """Four decimals, or three digits where four decimals would hide the value."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if value != 0 and abs(value) < 0.001:
        return f"{value:.2e}"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.1f}"


def signed(value: float) -> str:
    """With its sign."""
    shown = number(value)
    return shown if shown == UNKNOWN or value < 0 else f"+{shown}"


def probability(value: float) -> str:
    """A p-value."""
    if math.isnan(value):
        return UNKNOWN
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"


def at_most(bound: float) -> str:
    """An upper bound of a share, rounded up: a bound that is rounded down is none."""
    return f"{math.ceil(round(1000 * bound, 6)) / 10:g}%"


def between(interval: Interval) -> str:
    """Both ends."""
    if math.isnan(interval.low):
        return UNKNOWN
    return f"[{signed(interval.low)}, {signed(interval.high)}]"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, the first of them where there are many."""
    if len(names) <= 4:
        return ", ".join(names)
    return f"{len(names)} tasks: {', '.join(names[:3])}, ..."


def count(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)
