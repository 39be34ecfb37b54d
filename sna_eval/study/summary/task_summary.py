"""One task's line of the results table (Akhtar 2026, section 3.4).

The best configuration is the largest of the whole grid on the very items it is reported on, so
`best_improvement` is an upper end, not an estimate: only other items can say what it is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sna_eval.measuring.configuration import Configuration
from sna_eval.study.statistics import golden_zone_count, success_rate
from sna_eval.study.summary.measurements import TaskMeasurements


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
