"""What the correlation of baseline and percentage improvement is worth.

`improvement = change / baseline * 100` has the baseline in its denominator, so it falls with the
baseline even where the change has nothing to do with it (Pearson 1897, On a form of spurious
correlation, Proceedings of the Royal Society 60, 489-498; Jackson and Somers 1991, The spectre of
"spurious" correlations, Oecologia 86, 147-151). Two answers, given side by side:

- the correlation of the baseline with the absolute change, where no denominator is shared;
- a null that keeps the denominator: the changes are dealt out to the tasks anew, each is divided by
  the baseline of the task it lands on, and the correlation is taken. `p` is twice the smaller share
  of dealt-out correlations at least as far out as the observed one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sna_eval.study.statistics.correlation import (
    Correlation,
    CorrelationKind,
    check_tasks,
    coefficients,
    correlation,
)
from sna_eval.study.statistics.sampling import Interval


@dataclass(frozen=True)
class RatioNull:
    """The correlation as usually reported, and what it is to be read against."""

    improvement: Correlation
    """Of the baseline with the improvement in percent; its own p means little."""
    absolute: Correlation
    """Of the baseline with the absolute change."""
    null_mean: float
    """Mean correlation where the changes have nothing to do with the baselines."""
    null_interval: Interval
    """Where those correlations lie."""
    p: float
    """Two-sided, of the improvement's correlation against that null."""


def ratio_null(
    baseline: ArrayLike,
    change: ArrayLike,
    *,
    kind: CorrelationKind = "spearman",
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> RatioNull:
    """Both correlations of a baseline with its improvement, and the null.

    **Arguments:**

    - `baseline`: probability before, `[task]`, above 0.
    - `change`: probability after minus before, `[task]`.
    - `draws`: bootstrap samples, and random deals for the null.
    """
    base, moved = check_tasks(baseline, change)
    if np.any(base <= 0):
        raise ValueError("an improvement in percent needs baselines above 0")
    usual = correlation(
        base, moved / base * 100, kind=kind, confidence=confidence, draws=draws, seed=seed
    )
    absolute = correlation(base, moved, kind=kind, confidence=confidence, draws=draws, seed=seed)
    dealt = np.random.default_rng(seed).permuted(np.tile(moved, (draws, 1)), axis=1)
    null = coefficients(np.broadcast_to(base, dealt.shape), dealt / base, kind=kind)
    tail = (1 - confidence) / 2
    low, high = np.quantile(null, [tail, 1 - tail])
    below = (1 + int(np.sum(null <= usual.coefficient + 1e-12))) / (1 + draws)
    above = (1 + int(np.sum(null >= usual.coefficient - 1e-12))) / (1 + draws)
    return RatioNull(
        improvement=usual,
        absolute=absolute,
        null_mean=float(np.mean(null)),
        null_interval=Interval(float(low), float(high)),
        p=min(1.0, 2 * min(below, above)),
    )
