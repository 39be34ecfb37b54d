"""Does the baseline predict the outcome? Both correlations, for percent and for absolute change.

The improvement of a task is its best configuration's or the mean over all of them; the paper's
figure leaves open which, so both are given. See `statistics.ratio_null` for why the correlation
with percentages alone says little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sna_eval.study.statistics import RatioNull, ratio_null
from sna_eval.study.statistics.correlation import CorrelationKind
from sna_eval.study.summary.measurements import Floats
from sna_eval.study.summary.task_summary import TaskSummary

Outcome = Literal["best", "mean"]
_POINTS = 100  # of the band


@dataclass(frozen=True)
class AcrossTasks:
    """The baseline against one outcome, over tasks."""

    outcome: Outcome
    """Change of each task's best configuration, or mean change of all of them."""
    kind: CorrelationKind
    result: RatioNull


def across_tasks(
    summaries: Sequence[TaskSummary], *, draws: int = 10_000, seed: int = 0
) -> tuple[AcrossTasks, ...]:
    """Spearman and Pearson for both outcomes; none where there are too few tasks or no spread.

    Tasks with a baseline of 0 have no improvement in percent and are left out.
    """
    tasks = [summary for summary in summaries if summary.baseline > 0]
    baseline = [task.baseline for task in tasks]
    changes: dict[Outcome, list[float]] = {
        "best": [task.best_change for task in tasks],
        "mean": [task.mean_change for task in tasks],
    }
    kinds: tuple[CorrelationKind, ...] = ("spearman", "pearson")
    return tuple(
        AcrossTasks(outcome, kind, ratio_null(baseline, change, kind=kind, draws=draws, seed=seed))
        for outcome, change in changes.items()
        if len(tasks) >= 3 and len(set(baseline)) > 1 and _varies(baseline, change)
        for kind in kinds
    )


@dataclass(frozen=True, eq=False)
class NullBand:
    """Where improvements would lie if the changes had nothing to do with the baselines."""

    baseline: Floats
    """From the smallest to the largest of the tasks', `[point]`."""
    low: Floats
    """2.5 % of the tasks' best changes dealt out to that baseline, in percent, `[point]`."""
    middle: Floats
    high: Floats


def null_band(summaries: Sequence[TaskSummary]) -> NullBand | None:
    """The band for a figure; `None` for fewer than three tasks."""
    tasks = [summary for summary in summaries if summary.baseline > 0]
    if len(tasks) < 3:
        return None
    baselines = [task.baseline for task in tasks]
    grid = np.geomspace(min(baselines), max(baselines), _POINTS)
    dealt = np.array([task.best_change for task in tasks])[:, None] / grid * 100
    low, middle, high = np.quantile(dealt, [0.025, 0.5, 0.975], axis=0)
    return NullBand(grid, low, middle, high)


def _varies(baseline: Sequence[float], change: Sequence[float]) -> bool:
    """Whether the outcome has a spread both as a change and in percent."""
    percent = {moved / base for base, moved in zip(baseline, change, strict=True)}
    return len(set(change)) > 1 and len(percent) > 1
