"""Response curves: accuracy by zone as the multiplier grows, a panel for each direction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from matplotlib.figure import Figure

from sna_eval.reporting.style import MUTED, ZONE_COLOURS, new_figure, short
from sna_eval.study.summary import ResponseCurve

_MARKERS = {1: ("o", 4, True), 2: ("s", 7, False), 3: ("^", 10, False)}
"""Marker, size and whether filled: curves that coincide are still seen."""


def draw(curves: Sequence[ResponseCurve]) -> Figure:
    """Curves of one task; each zone's number of items stands beside it."""
    panels = [list(own) for _, own in groupby(curves, key=lambda curve: curve.direction)]
    figure = new_figure(max(5, 3.6 * len(panels)), 3.6)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, own in zip(grid, panels, strict=True):
        axes.axhline(0, color=MUTED, linewidth=0.6)
        for curve in own:
            marker, size, filled = _MARKERS[curve.zone]
            axes.plot(
                (1.0, *curve.multipliers), (0.0, *curve.points), marker=marker,
                markersize=size, color=ZONE_COLOURS[curve.zone],
                fillstyle="full" if filled else "none",
                label=f"zone {curve.zone}: {curve.n_items} items, before {curve.baseline_acc:.0%}",
            )  # fmt: skip
        oracle = " (oracle)" if own[0].oracle else ""
        axes.set_title(
            f"{short(own[0].task)}, {own[0].direction}{oracle}: layer {own[0].layer}, "
            f"{own[0].n_neurons} neurons a label",
            fontsize=8, loc="left",
        )  # fmt: skip
        axes.set_xlabel("multiplier")
        axes.margins(y=0.1)
        axes.legend(frameon=False, fontsize=7)
    grid[0].set_ylabel("change of accuracy, percentage points")
    return figure
