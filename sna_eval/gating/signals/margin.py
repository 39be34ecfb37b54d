"""How far the likeliest choice is ahead of the second. Does not look at the right answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sna_eval.gating.signal import ChoicesSignal


def margin(log_likelihoods: Sequence[float]) -> float:
    """`(p1 - p2) / (p1 + p2)` of the two most likely labels.

    For two labels this is the paper's `|P(pos) - P(neg)| / (P(pos) + P(neg))` (Akhtar 2026, 6.1).
    Computed as `tanh((l1 - l2) / 2)`, which is the same number and does not underflow for long
    labels.
    """
    if len(log_likelihoods) < 2:
        raise ValueError("a margin needs at least two labels")
    first, second = sorted(log_likelihoods, reverse=True)[:2]
    if first == second or math.isinf(first):
        return 0.0
    return math.tanh((first - second) / 2)


SIGNAL = ChoicesSignal(
    name="margin",
    words="margin between choices",
    low=0.30,  # Akhtar 2026, section 6
    high=0.60,
    measure=margin,
    usual=True,
)
