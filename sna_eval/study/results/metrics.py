"""Which metrics are outcomes, and which only keep books about a run."""

from __future__ import annotations

import re

BASELINE = "baseline_"
"""Prefix of the metrics that hold the unmodified model's score."""
PLACEHOLDER = "bypass"
"""What `--predict_only` writes in the place of every metric, always with the same value."""

_BOOKKEEPING = re.compile(
    r"baseline_.*|delta_prob|improvement_pct|amplified_fraction|zone|confidence|decision|oracle"
    r"|(acc|n|flips)_zone[123]"
)


def filtered(name: str, filter_name: str) -> str:
    """A task's or a metric's name with the filter that its answers went through, if one did."""
    return name if filter_name == "none" else f"{name} ({filter_name})"


def is_outcome(metric: str) -> bool:
    """Whether a metric measures the model, not the gate; the rest is not compared by default."""
    return metric != PLACEHOLDER and _BOOKKEEPING.fullmatch(metric) is None
