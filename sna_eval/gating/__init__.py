"""Confidence signals, zones and the gate. Knows torch alone."""

from sna_eval.gating.signals import entropy, margin, max_prob, target_prob
from sna_eval.gating.zones import (
    PAPER_BOUNDS,
    Decision,
    Gate,
    Mode,
    Signal,
    Transition,
    Zone,
    ungated,
)

__all__ = [
    "PAPER_BOUNDS",
    "Decision",
    "Gate",
    "Mode",
    "Signal",
    "Transition",
    "Zone",
    "entropy",
    "margin",
    "max_prob",
    "target_prob",
    "ungated",
]
