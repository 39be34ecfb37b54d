"""Layer map: mean improvement of every task at every layer, the best layer marked."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sna_eval.reporting.figures.heat import heat, written
from sna_eval.reporting.style import INK, new_figure, short
from sna_eval.study.summary import LayerMap


def draw(found: LayerMap) -> Figure:
    """Each row in the colours of its own largest change: tasks differ by orders of magnitude."""
    figure = new_figure(max(6.5, 2.2 + 0.5 * len(found.layers)), 1.4 + 0.32 * len(found.tasks))
    axes = figure.subplots()
    size = np.nanmax(np.abs(found.improvement), axis=1, keepdims=True, initial=0)
    relative = found.improvement / np.where(size > 0, size, 1)
    heat(
        axes, relative, [short(task) for task in found.tasks], [str(n) for n in found.layers],
        limit=1, numbers=False,
    )  # fmt: skip
    for row, values in enumerate(found.improvement):
        if not np.isfinite(values).any():
            continue
        best = int(np.nanargmax(values))
        axes.add_patch(
            Rectangle((best - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.4)
        )
        for column, value in enumerate(values):
            if np.isfinite(value) and len(found.layers) <= 24:
                dark = abs(relative[row, column]) > 0.65
                axes.text(
                    column, row, written(value), ha="center", va="center", fontsize=6.5,
                    color="white" if dark else INK, fontweight="bold" if column == best else None,
                )  # fmt: skip
    axes.set_xlabel("layer")
    axes.set_title(
        "Mean improvement in %, over counts and multipliers; best layer framed", loc="left"
    )
    return figure
