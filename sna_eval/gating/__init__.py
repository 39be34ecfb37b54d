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
    find_signal,
    signals_of,
    usual_signal,
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
    "find_signal",
    "signals_of",
    "ungated",
    "usual_signal",
]
