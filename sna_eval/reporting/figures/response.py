"""Response curves: accuracy by zone as the multiplier grows, a panel for each direction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from sna_eval.reporting.colours import ZONE_COLOURS, short
from sna_eval.reporting.figures.marks import (
    Axis,
    Drawing,
    Line,
    Panel,
    Points,
    Series,
    Symbol,
)
from sna_eval.study.summary import ResponseCurve

_SYMBOLS: dict[int, Symbol] = {1: "dot", 2: "square", 3: "triangle"}
"""Curves that coincide are still seen."""


def draw(curves: Sequence[ResponseCurve]) -> Drawing:
    """Curves of one task; each zone's number of items stands beside it."""
    panels = tuple(
        panel(list(same_direction))
        for _, same_direction in groupby(curves, key=lambda curve: curve.direction)
    )
    return Drawing(
        panels, max(5, 3.6 * len(panels)), 3.6, shared_y=True, legend="inside",
        y_title="change of accuracy, percentage points",
    )  # fmt: skip


def panel(curves: Sequence[ResponseCurve]) -> Panel:
    """Curves of one direction."""
    first = curves[0]
    oracle = " (oracle)" if first.oracle else ""
    return Panel(
        Axis("multiplier"),
        Axis(),
        (Line("x"), *map(_curve, curves)),
        title=f"{short(first.task)}, {first.direction}{oracle}: layer {first.layer}, "
        f"{first.n_neurons} neurons a label",
    )


def _curve(curve: ResponseCurve) -> Points:
    name = f"zone {curve.zone}: {curve.n_items} items, before {curve.baseline_acc:.0%}"
    x, y = (1.0, *curve.multipliers), (0.0, *curve.points)
    told = tuple(
        {"zone": f"zone {curve.zone}", "multiplier": factor, "points": point,
         "items": curve.n_items}
        for factor, point in zip(x, y, strict=True)
    )  # fmt: skip
    series = Series(name, ZONE_COLOURS[curve.zone], _SYMBOLS[curve.zone])
    return Points(series, x, y, told, joined=True)
