"""Which metrics are outcomes, and which only keep books about a run."""

from __future__ import annotations

import re

BASELINE = "baseline_"
"""Prefix of the bundled metrics that hold the unmodified model's score."""

_BOOKKEEPING = re.compile(
    r"baseline_.*|delta_prob|improvement_pct|amplified_fraction|zone|confidence|decision|oracle"
    r"|(acc|n|flips)_zone[123]"
)


def is_outcome(metric: str) -> bool:
    """Whether a metric measures the model, not the gate; the rest is not compared by default."""
    return _BOOKKEEPING.fullmatch(metric) is None
