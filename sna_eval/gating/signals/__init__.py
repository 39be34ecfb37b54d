"""Confidence signals, one file each: `SIGNAL`, and the formula beside it.

A file that is added here is a signal that plans can name; nothing else lists them.
"""

from __future__ import annotations

from sna_eval.gating.signal import ConfidenceSignal
from sna_eval.registry import Registry, registered


def _in_order(signal: ConfidenceSignal) -> tuple[bool, str]:
    """Those that are usually meant come first."""
    return (not signal.usual, signal.name)


SIGNALS: Registry[ConfidenceSignal] = Registry(
    sorted(registered(__name__, "SIGNAL"), key=_in_order), field="gate.signal"
)


def blind_signals() -> list[str]:
    """Names of the signals that never look at the right answer."""
    return [name for name, signal in SIGNALS.items() if not signal.sees_answer]
