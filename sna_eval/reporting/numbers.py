"""How numbers stand in the report's tables."""

from __future__ import annotations

import math

from sna_eval.study.statistics import Interval

UNKNOWN = "n/a"


def probability(value: float) -> str:
    """P(target), with as many digits as show it."""
    if math.isnan(value):
        return UNKNOWN
    return f"{value:.4f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1e}"


def percent(value: float) -> str:
    """A change in percent."""
    return UNKNOWN if math.isnan(value) else f"{value:+.2f}"


def share(value: float) -> str:
    """A share, in percent."""
    return UNKNOWN if math.isnan(value) else f"{value * 100:.1f} %"


def coefficient(value: float) -> str:
    """A correlation."""
    return UNKNOWN if math.isnan(value) else f"{value:+.3f}"


def p_value(value: float) -> str:
    if math.isnan(value):
        return UNKNOWN
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def between(interval: Interval) -> str:
    """Both ends of an interval of correlations."""
    return f"{coefficient(interval.low)} to {coefficient(interval.high)}"
