"""A task's line of the results table, the zones' means, and the map of layers (Akhtar 2026).

The best configuration is the largest of the whole grid on the very items it is reported on, so
`best_improvement` is an upper end, not an estimate: only other items can say what it is worth.
The map averages over directions, neuron counts and multipliers, as section 5.1 has its peaks.
Layers that a task was not swept at are NaN, and those of a screened sweep at which chance measured
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sna_eval.measuring.grid import Configuration
from sna_eval.study.statistics import golden_zone_count, success_rate
from sna_eval.study.summary.measurements import Floats, TaskMeasurements
from sna_eval.study.sweep.schemas import ZONES


@dataclass(frozen=True)
class TaskSummary:
    """What a sweep says about one task; improvements in percent of the baseline."""

    task: str
    zone: int
    n_items: int
    configurations: int
    """Measured."""
    counted: int
    """Configurations that means and rates rest on: all of them, of a screened sweep those that
    chance chose."""
    baseline: float
    """P(target) before."""
    best: Configuration
    """The configuration with the largest improvement; the first of equals."""
    best_change: float
    best_improvement: float
    mean_change: float
    mean_improvement: float
    """Over the counted configurations."""
    success_rate: float
    golden_zone: int
    """Configurations that improve by more than 10 %."""
    best_layer: int
    """Whose mean over directions, counts and multipliers is largest: the paper's way."""
    best_layer_improvement: float
    """That mean."""

    @property
    def best_single_layer(self) -> int:
        """The layer of the best configuration."""
        return self.best.layer


def summarise_task(measured: TaskMeasurements) -> TaskSummary:
    """Reduces a task's measurements."""
    place = int(np.nanargmax(measured.change))
    typical = measured.typical[~np.isnan(measured.typical)]
    improvement = measured.in_percent(typical)
    layer = int(np.nanargmax(measured.by_layer))
    defined = not np.isnan(improvement).any()
    return TaskSummary(
        task=measured.task,
        zone=measured.zone,
        n_items=measured.n_items,
        configurations=int((~np.isnan(measured.change)).sum()),
        counted=int(typical.size),
        baseline=measured.baseline,
        best=measured.at(place),
        best_change=float(measured.change.flat[place]),
        best_improvement=float(measured.improvement.flat[place]),
        mean_change=float(typical.mean()),
        mean_improvement=float(improvement.mean()),
        success_rate=success_rate(typical),
        golden_zone=golden_zone_count(improvement) if defined else 0,
        best_layer=measured.layers[layer],
        best_layer_improvement=float(measured.in_percent(measured.by_layer)[layer]),
    )


@dataclass(frozen=True)
class ZoneMean:
    """A zone's tasks; means in percent, over tasks, NaN for a zone without any."""

    zone: int
    tasks: tuple[str, ...]
    mean_improvement: float
    """Of the tasks' means over all configurations."""
    best_improvement: float
    """Of the tasks' best configurations."""
    largest_improvement: float
    """The best configuration of any task."""
    success_rate: float


def zone_means(summaries: Sequence[TaskSummary]) -> tuple[ZoneMean, ...]:
    """All three zones; every task counts alike."""
    return tuple(
        _zone_mean(zone, [summary for summary in summaries if summary.zone == zone])
        for zone in ZONES
    )


def _zone_mean(zone: int, tasks: Sequence[TaskSummary]) -> ZoneMean:
    best = _numbers([task.best_improvement for task in tasks])
    return ZoneMean(
        zone,
        tuple(task.task for task in tasks),
        _mean(_numbers([task.mean_improvement for task in tasks])),
        _mean(best),
        max(best, default=float("nan")),
        _mean([task.success_rate for task in tasks]),
    )


def _numbers(values: Sequence[float]) -> list[float]:
    """Without NaN, the improvement of a task whose baseline is 0."""
    return [value for value in values if not math.isnan(value)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


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
