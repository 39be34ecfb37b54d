"""Confidence signals, one file each: `SIGNAL`, and the formula beside it.

A file that is added here is a signal that plans can name; nothing else lists them.
"""

from __future__ import annotations

from typing import TypeVar

from sna_eval.gating.signal import ConfidenceSignal
from sna_eval.registry import lookup, registered

T = TypeVar("T", bound=ConfidenceSignal)


def _in_order(signal: ConfidenceSignal) -> tuple[bool, str]:
    """Those that are usually meant come first."""
    return (not signal.usual, signal.name)


SIGNALS: dict[str, ConfidenceSignal] = {
    signal.name: signal for signal in sorted(registered(__name__, "SIGNAL"), key=_in_order)
}


def find_signal(name: str, *, field: str = "gate.signal") -> ConfidenceSignal:
    """A signal by its name.

    **Raises:** `InputError` that lists the signals.
    """
    return lookup(SIGNALS, name, field=field)


def signals_of(kind: type[T]) -> dict[str, T]:
    """The signals that read the same: `AnswerSignal`, `ChoicesSignal` or `NextTokenSignal`."""
    return {name: signal for name, signal in SIGNALS.items() if isinstance(signal, kind)}


def usual_signal(kind: type[T]) -> T:
    """The one of them that stands in where nobody names a signal."""
    return next(signal for signal in signals_of(kind).values() if signal.usual)


def blind_signals() -> list[str]:
    """Names of the signals that never look at the right answer."""
    return [name for name, signal in SIGNALS.items() if not signal.sees_answer]
