"""Every item of a run: probability before, and how far the run moved it."""

from __future__ import annotations

from collections.abc import Sequence

from sna_eval.app.core.runs import ItemPoint
from sna_eval.reporting.colours import ZONE_COLOURS, short
from sna_eval.reporting.figures.marks import Axis, Line, Panel, Points, Series


def panel(items: Sequence[ItemPoint]) -> Panel:
    """A point an item, in its zone's colour."""
    zones = sorted({item.zone for item in items})
    return Panel(
        Axis("P(target) before"),
        Axis("change"),
        (Line("x"), *(_zone(items, zone) for zone in zones)),
    )


def _zone(items: Sequence[ItemPoint], zone: int) -> Points:
    inside = [item for item in items if item.zone == zone]
    return Points(
        Series(f"zone {zone}", ZONE_COLOURS[zone]),
        tuple(item.before for item in inside),
        tuple(item.after - item.before for item in inside),
        tuple(
            {"task": short(item.task), "item": item.item, "amplified": item.amplified,
             "before": item.before, "after": item.after, "change": item.after - item.before}
            for item in inside
        ),
    )  # fmt: skip
