"""Paired percentile bootstrap: an interval for the difference of two runs on the same items.

Items are drawn with replacement, each with both its scores, and the difference is taken of every
sample; the interval runs from its `alpha / 2` to its `1 - alpha / 2` quantile. Drawing pairs keeps
what the two runs share (hard items are hard for both), which two separate standard errors do not.

Items that share a cluster are drawn together. The quantiles then lie further out, where Student's
with `G - 1` degrees of freedom and the factor `sqrt(G / (G - 1))` put them for a mean over `G`
clusters: the plain ones are too narrow for few (Hesterberg 2015, What teachers should know about
the bootstrap, The American Statistician 69, 371-386: the expanded percentile interval).

Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 8 and 13. For systems on one
test set: Koehn (2004), EMNLP.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm
from scipy.stats import t as student

from sna_eval.study.statistics.clusters import check_clusters
from sna_eval.study.statistics.sampling import (
    Interval,
    Reduce,
    mean_of,
    paired_columns,
    resampled_cluster_means,
    resampled_means,
)


def paired_bootstrap(
    before: ArrayLike,
    after: ArrayLike,
    *,
    reduce: Reduce = mean_of,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The interval of `statistic(after) - statistic(before)`.

    **Arguments:**

    - `before`, `after`: `[item]` or `[item, column]`, the same items in the same order.
    - `reduce`: the statistic, from column means; by default the mean.
    - `clusters`: what is drawn together, `[item]`; `None`: nothing.
    - `draws`: bootstrap samples.

    **Returns:** NaN for both ends where all items are one cluster.
    """
    first, second = paired_columns(before, after)
    width = first.shape[1]
    both = np.concatenate([first, second], axis=1)
    codes = check_clusters(clusters, len(both))
    count = int(codes.max()) + 1
    tail = (1 - confidence) / 2
    if count == len(both):
        samples = resampled_means(both, draws=draws, seed=seed)
    elif count == 1:
        return Interval(math.nan, math.nan)
    else:
        samples = resampled_cluster_means(both, codes, draws=draws, seed=seed)
        tail = expanded_tail(tail, count)
    differences = np.concatenate(
        [reduce(means[:, width:]) - reduce(means[:, :width]) for means in samples]
    )
    low, high = np.quantile(differences, [tail, 1 - tail])
    return Interval(float(low), float(high))


def expanded_tail(tail: float, count: int) -> float:
    """The share of samples to cut off at either end, of means over `count` clusters."""
    reach = student.isf(tail, count - 1) * math.sqrt(count / (count - 1))
    return float(norm.sf(reach))
