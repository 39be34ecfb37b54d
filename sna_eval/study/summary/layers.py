"""Layer map: what amplifying in a layer does to a task, averaged over the rest of the grid.

Averages over directions, neuron counts and multipliers, as section 5.1 of Akhtar (2026) has its
peaks. Layers that a task was not swept at are NaN, and
those of a screened sweep at which chance measured nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sna_eval.study.summary.measurements import Floats, TaskMeasurements


@dataclass(frozen=True, eq=False)
class LayerMap:
    """Task against layer."""

    tasks: tuple[str, ...]
    layers: tuple[int, ...]
    improvement: Floats
    """Mean improvement in percent, `[task, layer]`."""


def layer_map(measurements: Sequence[TaskMeasurements]) -> LayerMap:
    """The map of all tasks, over every layer that any was swept at."""
    layers = tuple(sorted({layer for measurement in measurements for layer in measurement.layers}))
    table = np.full((len(measurements), len(layers)), np.nan)
    for number, measured in enumerate(measurements):
        places = [layers.index(layer) for layer in measured.layers]
        table[number, places] = measured.in_percent(measured.by_layer)
    return LayerMap(tuple(measurement.task for measurement in measurements), layers, table)
