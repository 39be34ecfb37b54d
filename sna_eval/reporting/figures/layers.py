"""Layer map: mean improvement of every task at every layer, the best layer framed."""

from __future__ import annotations

import numpy as np

from sna_eval.reporting.colours import short
from sna_eval.reporting.figures.marks import Axis, Cells, Drawing, Panel, texts
from sna_eval.study.summary import LayerMap

_ROOM = 24
"""Layers up to which each cell holds its number."""


def draw(found: LayerMap) -> Drawing:
    """Each row in the colours of its own largest change: tasks differ by orders of magnitude."""
    size = np.nanmax(np.abs(found.improvement), axis=1, keepdims=True, initial=0)
    told = tuple(
        tuple(
            {"task": short(task), "layer": layer, "mean improvement, %": float(value)}
            for layer, value in zip(found.layers, row, strict=True)
        )
        for task, row in zip(found.tasks, found.improvement, strict=True)
    )
    cells = Cells(
        found.improvement / np.where(size > 0, size, 1),
        texts(found.improvement, shown=len(found.layers) <= _ROOM),
        told,
        framed=tuple(
            (row, int(np.nanargmax(values)))
            for row, values in enumerate(found.improvement)
            if np.isfinite(values).any()
        ),
        bold=True,
    )
    panel = Panel(
        Axis("layer", tuple(map(str, found.layers))),
        Axis(names=tuple(map(short, found.tasks))),
        (cells,),
        title="Mean improvement in %, over counts and multipliers; best layer framed",
    )
    return Drawing((panel,), max(6.5, 2.2 + 0.5 * len(found.layers)), 1.4 + 0.32 * len(found.tasks))
