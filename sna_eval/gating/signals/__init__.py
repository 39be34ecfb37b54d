"""Confidence signals, one file each: `SIGNAL`, and the formula beside it.

A file that is added here is a signal that plans can name; nothing else lists them.
"""

from __future__ import annotations

from typing import TypeVar

from sna_eval.gating.signal import ConfidenceSignal
from sna_eval.registry import lookup, registered

T = TypeVar("T", bound=ConfidenceSignal)


def _in_order(own: ConfidenceSignal) -> tuple[bool, str]:
    """Those that are usually meant come first."""
    return (not own.usual, own.name)


SIGNALS: dict[str, ConfidenceSignal] = {
    own.name: own for own in sorted(registered(__name__, "SIGNAL"), key=_in_order)
}


def find_signal(name: str, *, field: str = "gate.signal") -> ConfidenceSignal:
    """A signal by its name.

    **Raises:** `InputError` that lists the signals.
    """
    return lookup(SIGNALS, name, field=field)


def signals_of(kind: type[T]) -> dict[str, T]:
    """The signals that read the same: `AnswerSignal`, `ChoicesSignal` or `NextTokenSignal`."""
    return {name: own for name, own in SIGNALS.items() if isinstance(own, kind)}


def usual_signal(kind: type[T]) -> T:
    """The one of them that stands in where nobody names a signal."""
    return next(own for own in signals_of(kind).values() if own.usual)


def blind_signals() -> list[str]:
    """Names of the signals that never look at the right answer."""
    return [name for name, own in SIGNALS.items() if not own.sees_answer]
