"""A figure is said once and drawn twice, by matplotlib for the page and by Altair for the app."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from sna_eval.app.ui.in_altair import chart
from sna_eval.reporting.figures.marks import (
    Axis,
    Band,
    Cells,
    Drawing,
    Line,
    Panel,
    Points,
    Series,
    Spans,
)
from sna_eval.reporting.in_matplotlib import drawn

RED, BLUE = Series("red ones", "#aa0000"), Series("blue ones", "#0000aa", "square")
X = np.array([1.0, 2.0, 3.0])
NEW = Panel(
    Axis("across"),
    Axis("up", ("first", "second", "third")),
    (
        Points(RED, (1.0, 2.0), (0.0, 2.0), ({"says": "a"}, {"says": "b"}), names=("one", "two")),
        Points(BLUE, (1.0, 3.0), (1.0, 1.0), joined=True),
        Spans(Series("", "#333333"), (0.5,), (2.5,), (1.0,)),
        Band(Series("band", "#777777"), X, X - 1, X, X + 1),
        Line("y", 2.0),
    ),
    title="A new figure",
)
HEAT = Panel(
    Axis("layer", ("0", "1")),
    Axis(names=("a", "b")),
    (
        Cells(
            np.array([[1.0, np.nan], [-1.0, 0.5]]), (("9", ""), ("-9", "4")),
            tuple(tuple({"value": 10 * r + c} for c in range(2)) for r in range(2)),
            framed=((1, 1),),
        ),
    ),
)  # fmt: skip


def rows(panel: Panel) -> list[dict[str, Any]]:
    """All that the app's chart holds."""
    return [row for dataset in chart(panel).to_dict()["datasets"].values() for row in dataset]


def test_points_stand_where_they_are_said_to() -> None:
    (axes,) = drawn(Drawing((NEW,), 6, 4)).axes
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["red ones"].get_xydata().tolist() == [[1, 0], [2, 2]]
    assert (lines["red ones"].get_linestyle(), lines["blue ones"].get_linestyle()) == ("None", "-")
    assert to_hex(lines["blue ones"].get_color()) == "#0000aa"
    found = [(row["x"], row["y"], row["says"]) for row in rows(NEW) if "says" in row]
    assert sorted(set(found)) == [(1, 0, "a"), (2, 2, "b")]


def test_names_of_both_are_the_same() -> None:
    (axes,) = drawn(Drawing((NEW,), 6, 4)).axes
    assert [get_yticklabel.get_text() for get_yticklabel in axes.get_yticklabels()] == [
        "first",
        "second",
        "third",
    ]
    assert axes.get_ylim() == (2.5, -0.5)  # the first at the top
    assert [text.get_text() for text in axes.texts] == ["one", "two"]
    legend = [get_text.get_text() for get_text in axes.get_legend().get_texts()]
    made = chart(NEW).to_dict()
    points = next(one for one in made["layer"] if one["mark"]["type"] == "point")
    assert sorted(points["encoding"]["color"]["scale"]["domain"]) == sorted(legend)
    assert '["first", "second", "third"]' in points["encoding"]["y"]["axis"]["labelExpr"]
    assert points["encoding"]["y"]["scale"]["reverse"]
    assert points["encoding"]["x"]["title"] == axes.get_xlabel() == "across"


def test_intervals_and_bands() -> None:
    (axes,) = drawn(Drawing((NEW,), 6, 4)).axes
    spans = [collection for collection in axes.collections if hasattr(collection, "get_segments")]
    assert spans[0].get_segments()[0].tolist() == [[0.5, 1], [2.5, 1]]
    found = rows(NEW)
    assert [(row["x"], row["end"]) for row in found if "end" in row] == [(0.5, 2.5)]
    assert [(row["y"], row["high"]) for row in found if "high" in row] == [(0, 2), (1, 3), (2, 4)]


def test_cells_without_a_value_stay_empty_in_both() -> None:
    (axes,) = drawn(Drawing((HEAT,), 6, 4)).axes
    (image,) = axes.images
    assert np.ma.getmaskarray(image.get_array()).tolist() == [[False, True], [False, False]]
    assert [text.get_text() for text in axes.texts] == ["9", "-9", "4"]
    assert axes.patches[0].get_xy() == pytest.approx((0.53, 0.54))
    values = {row["value"] for row in rows(HEAT) if "value" in row}
    assert values == {0, 10, 11}
    framed = [one for one in chart(HEAT).to_dict()["layer"] if one["mark"].get("filled") is False]
    assert len(framed) == 1


def test_what_is_no_mark() -> None:
    """A new kind of mark needs a way in both."""
    wrong: Any = Panel(Axis(), Axis(), ("text",))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no way to draw str"):
        drawn(Drawing((wrong,), 2, 2))
    with pytest.raises(TypeError, match="no way to draw str"):
        chart(wrong)
