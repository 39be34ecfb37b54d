"""Whether what a claim changes goes with the baseline, beside random rankings given its search.

Of every task the mean change of log-odds on test items, gate held open, on the mean baseline; tasks
of one domain share a random effect. What random rankings' slopes do, any search does.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from sna_eval.study.nulls.records import Found, SearchedNull
from sna_eval.study.statistics import BaselineSlope, SlopeBand, baseline_slope, slope_band


@dataclass(frozen=True)
class ClaimedSlope:
    """A claim's slope among those of random rankings."""

    claim: BaselineSlope
    band: SlopeBand


def claimed_slope(
    nulls: Sequence[SearchedNull], domains: Sequence[Hashable]
) -> ClaimedSlope | None:
    """The slope over tasks; `None` where they are fewer than three, or have no draw in common.

    **Arguments:**

    - `nulls`: one a task.
    - `domains`: of each task.
    """
    draws = min((len(task.nulls) for task in nulls), default=0)
    baseline = np.array([np.mean(task.items.baseline.log_odds) for task in nulls])
    if len(nulls) < 3 or draws == 0 or np.ptp(baseline) == 0:
        return None

    def change(task: SearchedNull, found: Found) -> float:
        return float(np.mean(np.subtract(found.after.log_odds, task.items.baseline.log_odds)))

    slope = baseline_slope(baseline, [change(task, task.claim) for task in nulls], domains)
    drawn = [
        baseline_slope(baseline, [change(task, task.nulls[n]) for task in nulls], domains).slope
        for n in range(draws)
    ]
    return ClaimedSlope(slope, slope_band(slope.slope, drawn))
