"""Count against multiplier of a task at one layer, the golden zone framed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sna_eval.reporting.colours import GOLD, short
from sna_eval.reporting.figures.marks import Axis, Cells, Drawing, Panel, relative, texts
from sna_eval.study.statistics.golden_zone import THRESHOLD
from sna_eval.study.summary import TaskMeasurements, TaskSummary

_ACROSS = 3
_ROOM = 12
"""Cells up to which each holds its number."""


def draw(measurements: Sequence[TaskMeasurements], tasks: Sequence[TaskSummary]) -> Drawing:
    """A panel a task at its best layer, each in the colours of its own largest change."""
    panels = tuple(
        panel(measurement, summary.best_layer, summary.best.direction)
        for measurement, summary in zip(measurements, tasks, strict=True)
    )
    across = min(_ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    return Drawing(
        panels, max(5, 3.7 * across), 0.5 + 2.3 * down, columns=across,
        x_title="multiplier", y_title="neurons",
    )  # fmt: skip


def panel(measured: TaskMeasurements, layer: int, direction: str) -> Panel:
    """One layer and direction of one task, in percent."""
    table = measured.improvement[measured.directions.index(direction), measured.layers.index(layer)]
    largest = np.nanmax(table) if np.isfinite(table).any() else np.nan
    told = tuple(
        tuple(
            {"neurons": count, "multiplier": factor, "improvement, %": float(value)}
            for factor, value in zip(measured.multipliers, row, strict=True)
        )
        for count, row in zip(measured.n_neurons, table, strict=True)
    )
    cells = Cells(
        relative(table),
        texts(table, shown=table.size <= _ROOM),
        told,
        framed=tuple((int(row), int(column)) for row, column in np.argwhere(table > THRESHOLD)),
        frame=GOLD,
    )
    return Panel(
        Axis(names=tuple(f"{factor:g}" for factor in measured.multipliers)),
        Axis(names=tuple(map(str, measured.n_neurons))),
        (cells,),
        title=f"{short(measured.task)}, layer {layer}, up to {largest:+.1f} %",
    )
