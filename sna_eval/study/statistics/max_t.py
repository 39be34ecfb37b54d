"""Lower bounds of all configurations of a grid at once, so that the best one's is still a bound.

The best of many configurations owes part of its lead to the items that it was chosen on. Bounds
that hold together hold for whichever is taken:

    bound_c = mean_c - q * stderr_c,  q the quantile of max_c (mean_c* - mean_c) / stderr_c*

over resamples in which the deviations of whole clusters change their signs (Westfall and Young
1993, Resampling-based multiple testing; for means of many columns, Chernozhukov, Chetverikov and
Kato 2013, Annals of Statistics 41, 2786-2819; signs by cluster, Cameron, Gelbach and Miller 2008).
Configurations of one grid resemble each other, so `q` lies well below Bonferroni's. With one
configuration it is about Student's quantile. Configurations that were picked beforehand from more,
as a screen picks them, count as that many.

A configuration that does the same to every item has no spread: its bound is its mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from sna_eval.clusters import Ints
from sna_eval.study.statistics.clusters import (
    Floats,
    check_clusters,
    cluster_sums,
    clustered_stderr,
)
from sna_eval.study.statistics.sampling import chunks


@dataclass(frozen=True, eq=False)
class MaxT:
    """Simultaneous one-sided bounds."""

    bounds: Floats
    """`[configuration]`."""
    critical: float
    """How many standard errors below the mean they lie."""
    clusters: int


def max_t_bounds(
    effects: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    among: int | None = None,
    confidence: float = 0.95,
    draws: int = 1_000,
    seed: int = 0,
) -> MaxT:
    """Lower bounds of the means of `effects`, `[configuration, item]`.

    **Arguments:**

    - `among`: how many configurations these were picked from, by what is known of the same items;
        `None`: they are all.
    - `confidence`: how often all bounds lie below their true means together.
    - `draws`: of signs.

    **Raises:** `ValueError` for fewer than two clusters.
    """
    by_item = np.asarray(effects, dtype=np.float64)
    codes = check_clusters(clusters, by_item.shape[1])
    sizes = np.bincount(codes).astype(np.float64)
    if len(sizes) < 2:
        raise ValueError("a bound needs two clusters or more")
    means, stderr = by_item.mean(axis=1), clustered_stderr(by_item, codes)
    varying = stderr > 1e-12 * np.maximum(1e-300, np.abs(by_item).max(initial=0.0))
    if not varying.any():
        return MaxT(means, 0.0, len(sizes))
    residuals = _residuals(by_item[varying], codes)
    largest = np.concatenate(list(_largest(residuals, sizes, draws=draws, seed=seed)))
    critical = float(np.quantile(largest, confidence, method="higher"))
    if among is not None and among > len(by_item):
        critical = _among_more(critical, among / len(by_item), 1 - confidence, len(sizes) - 1)
    return MaxT(means - critical * np.where(varying, stderr, 0.0), critical, len(sizes))


def _among_more(critical: float, times: float, alpha: float, freedom: int) -> float:
    """The quantile for so many times as many configurations that resemble each other as much.

    Those at hand count as `alpha / P(t > critical)` independent ones; more than theirs share of the
    grid is not known of the others.
    """
    share = float(student.sf(critical, freedom)) / times
    return max(critical, float(student.isf(min(share, alpha), freedom)))


def _residuals(effects: Floats, codes: Ints) -> Floats:
    """Sums over clusters of deviations from each mean, `[cluster, configuration]`."""
    return cluster_sums((effects - effects.mean(axis=1, keepdims=True)).T, codes)


def _largest(residuals: Floats, sizes: Floats, *, draws: int, seed: int) -> Iterator[Floats]:
    """The largest `t` over configurations of every draw, in chunks `[draw]`.

    Each draw has its own standard errors, from what is left of its clusters after its own mean.
    """
    rng = np.random.default_rng(seed)
    count, items = len(sizes), sizes.sum()
    squares = (residuals**2).sum(axis=0)
    for size in chunks(draws, 4 * residuals.shape[1]):
        signs = rng.choice(np.array([-1.0, 1.0]), size=(size, count))
        moved = signs @ residuals / items
        crossed = (signs * sizes) @ residuals
        spread = squares - 2 * moved * crossed + moved**2 * (sizes**2).sum()
        stderr = np.sqrt(count / (count - 1) * np.maximum(spread, 1e-12 * squares)) / items
        yield (moved / stderr).max(axis=1)
