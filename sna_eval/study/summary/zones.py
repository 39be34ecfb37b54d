"""Zone means: how much the tasks of each zone improve (Akhtar 2026, sections 4.2 to 4.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sna_eval.study.summary.task_summary import TaskSummary
from sna_eval.study.sweep.schemas import ZONES


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
