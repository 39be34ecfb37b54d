"""Figures drawn with matplotlib, for pages and files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sna_eval.reporting.colours import GAIN, INK, LOSS, MUTED, NOTHING
from sna_eval.reporting.figures.marks import (
    Band,
    Cells,
    Drawing,
    Line,
    Mark,
    Panel,
    Points,
    Spans,
    Symbol,
)
from sna_eval.reporting.labels import label_points
from sna_eval.reporting.style import new_figure

_SHADES = LinearSegmentedColormap.from_list("change", [LOSS, NOTHING, GAIN])
_SYMBOLS: dict[Symbol, dict[str, Any]] = {
    "dot": {"marker": "o", "markersize": 5},
    "ring": {"marker": "o", "markersize": 6, "markerfacecolor": "white"},
    "stroke": {"marker": "|", "markersize": 9, "alpha": 0.7},
    "square": {"marker": "s", "markersize": 7, "fillstyle": "none"},
    "triangle": {"marker": "^", "markersize": 10, "fillstyle": "none"},
}
_LEGENDS: dict[str, dict[str, Any]] = {
    "below": {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13), "ncols": 4},
    "above": {"loc": "upper center", "bbox_to_anchor": (0.5, 1.1), "ncols": 2},
    "inside": {},
}


def drawn(drawing: Drawing) -> Figure:
    """The figure."""
    figure = new_figure(drawing.width, drawing.height)
    columns = drawing.columns or len(drawing.panels)
    rows = math.ceil(len(drawing.panels) / columns)
    grid = figure.subplots(
        rows, columns, squeeze=False, sharey=drawing.shared_y,
        width_ratios=[panel.width for panel in drawing.panels[:columns]],
    )  # fmt: skip
    for axes, panel in zip(grid.flat, drawing.panels, strict=False):
        _draw_panel(axes, panel, drawing)
    for axes in list(grid.flat)[len(drawing.panels) :]:
        axes.set_visible(False)
    if drawing.x_title:
        figure.supxlabel(drawing.x_title, fontsize=9)
    if drawing.y_title:
        figure.supylabel(drawing.y_title, fontsize=9)
    return figure


def _draw_panel(axes: Any, panel: Panel, drawing: Drawing) -> None:
    several = len(drawing.panels) > 2
    heat = any(isinstance(mark, Cells) for mark in panel.marks)
    for mark in panel.marks:
        _draw(mark, axes)
    _set_axes(axes, panel, heat=heat)
    axes.set_title(panel.title, loc="left", fontsize=8 if several else 9 if heat else None)
    if panel.series:
        axes.legend(frameon=False, fontsize=7, **_LEGENDS[drawing.legend])
    named = [
        (x, y, name)
        for mark in panel.marks
        if isinstance(mark, Points)
        for x, y, name in zip(mark.x, mark.y, mark.names, strict=False)
    ]
    if named:
        label_points(axes, named)


def _set_axes(axes: Any, panel: Panel, *, heat: bool) -> None:
    if panel.x.log:
        axes.set_xscale("log")
        axes.margins(x=0.12)
    if panel.x.limits:
        axes.set_xlim(*panel.x.limits)
    if panel.y.limits:
        axes.set_ylim(*panel.y.limits)
    elif not panel.y.names:
        axes.margins(y=0.1)
    axes.set_xlabel(panel.x.title)
    axes.set_ylabel(panel.y.title)
    if panel.x.names:
        axes.set_xticks(range(len(panel.x.names)), panel.x.names)
    if panel.y.names:
        axes.set_yticks(range(len(panel.y.names)), panel.y.names, fontsize=8)
        if not heat:
            axes.set_ylim(len(panel.y.names) - 0.5, -0.5)
    if panel.x.tilted:
        axes.tick_params(axis="x", rotation=45, labelsize=8)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    if heat:
        axes.tick_params(length=0, labelsize=8)
        for side in axes.spines.values():
            side.set_visible(False)


@singledispatch
def _draw(mark: Mark, axes: Any) -> None:
    raise TypeError(f"no way to draw {type(mark).__name__}")


@_draw.register
def _(mark: Points, axes: Any) -> None:
    axes.plot(
        mark.x, mark.y, color=mark.series.colour, label=mark.series.name or None,
        linestyle="-" if mark.joined else "none", **_SYMBOLS[mark.series.symbol],
    )  # fmt: skip


@_draw.register
def _(mark: Spans, axes: Any) -> None:
    axes.hlines(
        mark.y, mark.low, mark.high, colors=mark.series.colour, linewidth=mark.width,
        alpha=mark.opacity, label=mark.series.name or None,
    )  # fmt: skip


@_draw.register
def _(mark: Band, axes: Any) -> None:
    colour = mark.series.colour
    axes.fill_between(
        mark.x, mark.low, mark.high, color=colour, alpha=0.15, linewidth=0, label=mark.series.name
    )
    axes.plot(mark.x, mark.middle, ":", color=colour, linewidth=1)


@_draw.register
def _(mark: Line, axes: Any) -> None:
    draw = axes.axhline if mark.along == "x" else axes.axvline
    draw(mark.at, color=MUTED, linewidth=0.6)


@_draw.register
def _(mark: Cells, axes: Any) -> None:
    axes.imshow(mark.shades, cmap=_SHADES, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    for row, column in mark.framed:
        axes.add_patch(
            Rectangle(
                (column - 0.47, row - 0.46), 0.94, 0.92, fill=False, edgecolor=mark.frame,
                linewidth=1.6,
            )
        )  # fmt: skip
    for row, words in enumerate(mark.texts):
        _write(axes, mark, row, words)


def _write(axes: Any, mark: Cells, row: int, words: Sequence[str]) -> None:
    for column, text in enumerate(words):
        if text:
            dark = abs(mark.shades[row, column]) > 0.65
            heavy = mark.bold and (row, column) in mark.framed
            axes.text(
                column, row, text, ha="center", va="center", fontsize=6.5,
                color="white" if dark else INK, fontweight="bold" if heavy else None,
            )  # fmt: skip
