"""Equivalence: is an effect shown to be too small to matter?

Two one-sided tests against the smallest effect of interest, `-d` and `d`: `p` is the larger of the
two, and below `alpha` where the `1 - 2 alpha` interval lies inside (Schuirmann 1987, Journal of
Pharmacokinetics and Biopharmaceutics 15, 657-680). "Not significant" says nothing of the kind.
Standard errors are those of `clusters`, quantiles Student's with one degree of freedom less than
there are clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from sna_eval.study.statistics.clusters import check_clusters, clustered_stderr
from sna_eval.study.statistics.sampling import Interval


@dataclass(frozen=True)
class Equivalence:
    """A mean effect against the smallest that would matter."""

    mean: float
    smallest: float
    """Of interest, above 0, in the unit of the effects."""
    interval: Interval
    """Of confidence `1 - 2 alpha`."""
    p: float
    """Of the two one-sided tests; NaN where nothing varies and nothing can be tested."""


def equivalence(
    effects: ArrayLike, *, smallest: float, alpha: float = 0.05, clusters: ArrayLike | None = None
) -> Equivalence:
    """Tests whether the mean of `effects`, `[item]`, lies between `-smallest` and `smallest`."""
    by_item = np.asarray(effects, dtype=np.float64)
    if not smallest > 0:
        raise ValueError(f"the smallest effect of interest must be above 0, got {smallest}")
    mean, stderr = float(by_item.mean()), float(clustered_stderr(by_item, clusters))
    freedom = len(np.unique(check_clusters(clusters, len(by_item)))) - 1
    if not stderr > 0:
        inside = abs(mean) < smallest and freedom > 0
        p = math.nan if freedom < 1 else 0.0 if inside else 1.0
        return Equivalence(mean, smallest, Interval(mean, mean), p)
    above = student.sf((mean + smallest) / stderr, freedom)
    below = student.cdf((mean - smallest) / stderr, freedom)
    reach = float(student.ppf(1 - alpha, freedom)) * stderr
    interval = Interval(mean - reach, mean + reach)
    return Equivalence(mean, smallest, interval, float(max(above, below)))
