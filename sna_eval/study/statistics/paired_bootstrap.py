"""Paired percentile bootstrap: an interval for the difference of two runs on the same items.

Items are drawn with replacement, each with both its scores, and the difference is taken of every
sample; the interval runs from its `alpha / 2` to its `1 - alpha / 2` quantile. Drawing pairs keeps
what the two runs share (hard items are hard for both), which two separate standard errors do not.

Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 8 and 13. For systems on one
test set: Koehn (2004), EMNLP.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sna_eval.study.statistics.sampling import (
    Interval,
    Reduce,
    mean_of,
    paired_columns,
    resampled_means,
)


def paired_bootstrap(
    before: ArrayLike,
    after: ArrayLike,
    *,
    reduce: Reduce = mean_of,
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The interval of `statistic(after) - statistic(before)`.

    **Arguments:**

    - `before`, `after`: `[item]` or `[item, column]`, the same items in the same order.
    - `reduce`: the statistic, from column means; by default the mean.
    - `draws`: bootstrap samples.
    """
    first, second = paired_columns(before, after)
    width = first.shape[1]
    both = np.concatenate([first, second], axis=1)
    differences = np.concatenate(
        [
            reduce(means[:, width:]) - reduce(means[:, :width])
            for means in resampled_means(both, draws=draws, seed=seed)
        ]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return Interval(float(low), float(high))
