"""Confidence signals, zones and the gate. Knows torch alone."""

from sna_eval.gating.signal import (
    AnswerSignal,
    ChoicesSignal,
    ConfidenceSignal,
    NextTokenSignal,
)
from sna_eval.gating.signals import (
    SIGNALS,
    blind_signals,
)
from sna_eval.gating.zones import (
    DESCRIPTIVE,
    Decision,
    Gate,
    Mode,
    Signal,
    Transition,
    Zone,
    ungated,
)

__all__ = [
    "DESCRIPTIVE",
    "SIGNALS",
    "AnswerSignal",
    "ChoicesSignal",
    "ConfidenceSignal",
    "Decision",
    "Gate",
    "Mode",
    "NextTokenSignal",
    "Signal",
    "Transition",
    "Zone",
    "blind_signals",
    "ungated",
]
