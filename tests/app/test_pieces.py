"""HTML parts: positions, numbers, and that nothing typed becomes markup."""

from __future__ import annotations

import pytest

from sna_eval.app.ui import look, pieces
from sna_eval.gating import Gate


@pytest.mark.parametrize(
    ("confidence", "place"),
    [(0.0, 0.0), (0.035, 100 / 6), (0.07, 100 / 3), (0.085, 50.0), (0.1, 200 / 3), (1.0, 100.0)],
)
def test_each_zone_is_a_third_of_the_scale(confidence: float, place: float) -> None:
    assert pieces.scale_position(Gate(), confidence) == pytest.approx(place)


def test_a_gate_without_a_middle_has_a_scale() -> None:
    assert pieces.scale_position(Gate(low=0.5, high=0.5), 0.5) == pytest.approx(50)
    assert pieces.scale_position(Gate(low=0.0, high=0.5), 0.25) == pytest.approx(50)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0625, "0.0625"), (0.0, "0.0000"), (0.00012, "1.20e-04"), (1.0, "1.0000")],
)
def test_numbers(value: float, text: str) -> None:
    assert pieces.number(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.02, "+0.0200"), (-0.5, "-0.5000"), (0.0, "0.0000")])
def test_changes(value: float, text: str) -> None:
    assert pieces.change(value) == text


def test_nothing_typed_becomes_markup() -> None:
    attack = "<script>alert(1)</script>"
    for shown in (
        pieces.token(attack),
        pieces.continued(attack, attack),
        pieces.note(attack),
        pieces.exact([(attack, attack)]),
        pieces.card(attack, "1"),
        pieces.table((attack,), []),
    ):
        assert "<script" not in shown


def test_tokens_show_their_spaces() -> None:
    assert ">·ten<" in pieces.token(" ten")
    assert ">⏎<" in pieces.token("\n")


def test_zones_have_the_reports_colours() -> None:
    from sna_eval.reporting import colours

    assert look.ZONE_COLOURS is colours.ZONE_COLOURS
