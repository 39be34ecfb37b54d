"""Does the baseline predict the outcome? Correlations over tasks, and a slope on held-out items.

The improvement of a task is its best configuration's or the mean over all of them; the paper's
figure leaves open which, so both are given, for percent and for absolute change. See
`statistics.ratio_null` for why the correlation with percentages alone says little. The slope is
that of log-odds, of each task's own intervention on items that nothing was chosen on, ungated;
tasks of one type share a random effect. See `statistics.baseline_slope`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sna_eval.study.interference import Interference
from sna_eval.study.statistics import BaselineSlope, RatioNull, baseline_slope, ratio_null
from sna_eval.study.statistics.correlation import CorrelationKind
from sna_eval.study.summary.measurements import Floats
from sna_eval.study.summary.task_summary import TaskSummary
from sna_eval.study.summary.variance import task_type

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


def held_out_slope(measured: Interference) -> BaselineSlope | None:
    """The slope over the tasks that a plan acts on.

    `None` for development items, for fewer than three tasks, and for files from before log-odds
    were kept.
    """
    effects = [measured.effect(source.task, source.task) for source in measured.sources]
    known = [
        (effect.subject, effect.log_odds_before, effect.log_odds_after - effect.log_odds_before)
        for effect in effects
        if effect.log_odds_before is not None and effect.log_odds_after is not None
    ]
    baselines = [baseline for _, baseline, _ in known]
    if measured.split != "test" or len(known) < 3 or len(set(baselines)) < 2:
        return None
    return baseline_slope(
        baselines,
        [change for _, _, change in known],
        [task_type(task) for task, _, _ in known],
    )
