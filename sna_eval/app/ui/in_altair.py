"""The report's figures drawn with Altair: the same marks, and every value can be pointed at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import singledispatch
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from sna_eval.app.ui.charts import SVG, diverging
from sna_eval.reporting.colours import INK, MUTED
from sna_eval.reporting.figures.marks import (
    Axis,
    Band,
    Cells,
    Line,
    Mark,
    Panel,
    Points,
    Spans,
    Symbol,
)

_SHAPES: dict[Symbol, str] = {
    "dot": "circle", "ring": "circle", "stroke": "stroke", "square": "square",
    "triangle": "triangle-up",
}  # fmt: skip
_LEGEND = alt.Legend(orient="bottom", title=None, labelLimit=400, symbolOpacity=1)
_HOLLOW = ("ring", "square", "triangle")


def chart(panel: Panel, *, height: int | None = None) -> Any:
    """One panel of a figure.

    **Arguments:**

    - `height`: in pixels; by default as its categories need.
    """
    x, y = _axis(alt.X, panel.x), _axis(alt.Y, panel.y)
    colours = alt.Color(
        "series:N",
        scale=alt.Scale(
            domain=[series.name for series in panel.series],
            range=[series.colour for series in panel.series],
        ),
        legend=alt.Legend(orient="bottom", title=None, labelLimit=400, symbolOpacity=1)
        if panel.series
        else None,
    )
    layers = [layer for mark in panel.marks for layer in _layers(mark, x, y, colours)]
    tall = height or (60 + 28 * len(panel.y.names) if panel.y.names else 340)
    return alt.layer(*layers).properties(height=max(180, tall), usermeta=SVG)


def _axis(kind: Any, axis: Axis) -> Any:
    """Categories are numbers with names, so that marks may lie between them."""
    title = axis.title or None
    if not axis.names:
        scale: dict[str, Any] = {"type": "log", "padding": 40} if axis.log else {"zero": False}
        if axis.limits:
            scale |= {"domain": list(axis.limits)}
        return kind(f"{_name(kind)}:Q", title=title, scale=alt.Scale(**scale))
    names = json.dumps([name.replace("\n", ", ") for name in axis.names])
    count = len(axis.names)
    ends = [-0.5, count - 0.5]
    return kind(
        f"{_name(kind)}:Q", title=title,
        scale=alt.Scale(
            domain=ends, nice=False, zero=False, reverse=kind is alt.Y
        ),
        axis=alt.Axis(
            values=list(range(count)), labelExpr=f"{names}[datum.value]", grid=False, ticks=False,
            labelLimit=160, labelOverlap=False, labelAngle=-40 if axis.tilted else 0, domain=False,
        ),
    )  # fmt: skip


def _name(kind: Any) -> str:
    return "x" if kind is alt.X else "y"


def _tooltip(told: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What is said of a mark; numbers in four digits."""
    return [
        alt.Tooltip(f"{name}:Q", format=".4~g") if isinstance(value, float) else name
        for name, value in (told[0] if told else {}).items()
    ]


@singledispatch
def _layers(mark: Mark, x: Any, y: Any, colours: Any) -> Iterator[Any]:
    raise TypeError(f"no way to draw {type(mark).__name__}")


@_layers.register
def _(mark: Points, x: Any, y: Any, colours: Any) -> Iterator[Any]:
    told = mark.told or tuple({} for _ in mark.x)
    rows = pd.DataFrame(
        [
            {"x": across, "y": up, "series": mark.series.name, **tip}
            for across, up, tip in zip(mark.x, mark.y, told, strict=True)
        ]
    )
    base = alt.Chart(rows)
    if mark.joined:
        yield base.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=colours)
    hollow = mark.series.symbol in _HOLLOW
    points = base.mark_point(
        size=70, opacity=1, filled=not hollow, shape=_SHAPES[mark.series.symbol]
    )
    yield points.encode(x=x, y=y, color=colours, tooltip=_tooltip(told))
    if mark.names:
        named = alt.Chart(rows.assign(name=list(mark.names)))
        yield named.mark_text(align="left", dx=7, dy=-5, fontSize=10, color=MUTED).encode(
            x=x, y=y, text="name:N"
        )


@_layers.register
def _(mark: Spans, x: Any, y: Any, colours: Any) -> Iterator[Any]:
    rows = pd.DataFrame({"x": mark.low, "end": mark.high, "y": mark.y, "series": mark.series.name})
    rules = alt.Chart(rows).mark_rule(
        strokeWidth=mark.width, opacity=mark.opacity, color=mark.series.colour
    )
    named = {"color": colours} if mark.series.name else {}
    yield rules.encode(x=x, x2="end:Q", y=y, **named)


@_layers.register
def _(mark: Band, x: Any, y: Any, colours: Any) -> Iterator[Any]:
    rows = pd.DataFrame({"x": mark.x, "y": mark.low, "high": mark.high, "series": mark.series.name})
    area = alt.Chart(rows).mark_area(opacity=0.15, clip=True)  # it may leave the axes' limits
    yield area.encode(x=x, y=y, y2="high:Q", color=colours)


@_layers.register
def _(mark: Line, x: Any, y: Any, colours: Any) -> Iterator[Any]:
    rule = alt.Chart(pd.DataFrame({"at": [mark.at]})).mark_rule(color=MUTED, strokeWidth=0.7)
    yield rule.encode(y="at:Q") if mark.along == "x" else rule.encode(x="at:Q")


@_layers.register
def _(mark: Cells, x: Any, y: Any, colours: Any) -> Iterator[Any]:
    places = [(row, column) for row, column in np.ndindex(mark.shades.shape)
              if np.isfinite(mark.shades[row, column])]  # fmt: skip
    if not places:
        return
    rows = pd.DataFrame(
        [
            {"x": column - 0.5, "right": column + 0.5, "y": row - 0.5, "down": row + 0.5,
             "shade": float(mark.shades[row, column]), "text": mark.texts[row][column],
             **mark.told[row][column]}
            for row, column in places
        ]
    )  # fmt: skip
    first = mark.told[places[0][0]][places[0][1]]
    box = {"x": x, "x2": "right:Q", "y": y, "y2": "down:Q"}
    yield alt.Chart(rows).mark_rect().encode(
        **box, color=alt.Color("shade:Q", scale=diverging(1.0), legend=None),
        tooltip=_tooltip([first]),
    )  # fmt: skip
    if mark.framed:
        framed = [place in mark.framed for place in places]
        frames = alt.Chart(rows[framed]).mark_rect(filled=False, stroke=mark.frame, strokeWidth=1.6)
        yield frames.encode(**box)
    if any(rows["text"]):
        centred = rows.assign(x=rows["x"] + 0.5, y=rows["y"] + 0.5)
        yield alt.Chart(centred).mark_text(fontSize=10).encode(
            x=x, y=y, text="text:N",
            color=alt.condition("abs(datum.shade) > 0.65", alt.value("white"), alt.value(INK)),
        )  # fmt: skip
