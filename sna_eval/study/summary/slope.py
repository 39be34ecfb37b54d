"""How the held-out change of log-odds goes with the baseline, over tasks.

Of each task's own intervention on items that nothing was chosen on, ungated; tasks of one type
share a random effect. See `sna_eval.study.statistics.baseline_slope`.
"""

from __future__ import annotations

from sna_eval.study.interference import Interference
from sna_eval.study.statistics import BaselineSlope, baseline_slope
from sna_eval.study.summary.variance import task_type


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
