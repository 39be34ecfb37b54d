"""Count against multiplier at each task's best layer, the golden zone framed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sna_eval.reporting.figures.heat import heat
from sna_eval.reporting.style import GOLD, new_figure, short
from sna_eval.study.statistics.golden_zone import THRESHOLD
from sna_eval.study.summary import TaskMeasurements, TaskSummary

_ACROSS = 3


def draw(measurements: Sequence[TaskMeasurements], tasks: Sequence[TaskSummary]) -> Figure:
    """One panel a task, each in the colours of its own largest change."""
    across = min(_ACROSS, len(tasks))
    down = math.ceil(len(tasks) / across)
    figure = new_figure(max(5, 3.7 * across), 0.5 + 2.3 * down)
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, own, summary in zip(panels, measurements, tasks, strict=False):
        _panel(axes, own, summary)
    for axes in panels[len(tasks) :]:
        axes.set_visible(False)
    figure.supxlabel("multiplier", fontsize=9)
    figure.supylabel("neurons", fontsize=9)
    return figure


def _panel(axes: Any, own: TaskMeasurements, summary: TaskSummary) -> None:
    direction = own.directions.index(summary.best.direction)
    table = own.improvement[direction, own.layers.index(summary.best_layer)]
    heat(
        axes, table, [str(count) for count in own.n_neurons],
        [f"{factor:g}" for factor in own.multipliers], numbers=table.size <= 12,
    )  # fmt: skip
    axes.tick_params(labelsize=7)
    for row, column in np.argwhere(table > THRESHOLD):
        axes.add_patch(
            Rectangle(
                (column - 0.45, row - 0.45), 0.9, 0.9, fill=False, edgecolor=GOLD, linewidth=2
            )
        )
    largest = np.nanmax(table) if np.isfinite(table).any() else np.nan
    axes.set_title(
        f"{short(own.task)}, layer {summary.best_layer}, up to {largest:+.1f} %", fontsize=8
    )
