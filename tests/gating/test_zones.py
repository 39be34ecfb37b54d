"""The three zones, their borders, and what the gate does in each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sna_eval.errors import InputError
from sna_eval.gating import Decision, Gate, ungated

GATE = Gate("target_prob", 0.07, 0.10)


@pytest.mark.parametrize(
    ("confidence", "zone"), [(0.0, 1), (0.0699, 1), (0.07, 2), (0.10, 2), (0.1001, 3), (1.0, 3)]
)
def test_zones(confidence: float, zone: int) -> None:
    assert GATE.zone(confidence) == zone
    assert GATE.opens(confidence) == (zone == 1)
    assert replace(GATE, transition="amplify").opens(confidence) == (zone in (1, 2))
    assert replace(GATE, mode="always").opens(confidence)
    assert not replace(GATE, mode="never").opens(confidence)


def test_ungated_changes_the_mode_alone() -> None:
    opened = ungated(GATE)
    assert opened == replace(GATE, mode="always")
    assert all(opened.opens(confidence) for confidence in (0.0, 0.08, 1.0))
    assert opened.zone(0.08) == GATE.zone(0.08) == 2


def test_decision() -> None:
    assert GATE.decide(0.05) == Decision(zone=1, confidence=0.05, amplified=True)


def test_which_gates_see_the_answer() -> None:
    assert GATE.sees_answer
    assert not replace(GATE, signal="margin").sees_answer
    assert not replace(GATE, mode="always").sees_answer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": 0.2}, r"gate.low: expected at most gate.high = 0.1, got 0.2; swap the two"),
        ({"low": float("nan")}, r"gate.low: expected a finite number"),
        ({"high": float("inf")}, r"gate.high: expected a finite number"),
        (
            {"signal": "luck"},
            r"gate.signal: expected one of margin, max_prob, target_prob",
        ),
        ({"transition": "maybe"}, r"gate.transition: expected one of leave, amplify"),
        ({"mode": "often"}, r"gate.mode: expected one of confidence, always, never"),
    ],
)
def test_impossible_gates(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(GATE, **changes)  # type: ignore[arg-type]
