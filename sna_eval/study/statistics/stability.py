"""Would other development items have chosen the same neurons?

Neurons are ranked on resampled items and the first of each ranking compared. The index is 1 where
all sets are the same and 0 on average for sets drawn at random:

    1 - mean_n s_n^2 / (k/d (1 - k/d)),  s_n^2 = R / (R - 1) share_n (1 - share_n)

for `R` sets of `k` among `d` neurons, `share_n` how many of the sets hold neuron `n` (Nogueira,
Sechidis and Brown 2018, Journal of Machine Learning Research 18, 174). 0.4 and below counts as poor
there, above 0.75 as excellent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from sna_eval.study.statistics.clusters import Floats, check_clusters, cluster_sums


def stability(sets: Sequence[Sequence[int]], n_neurons: int) -> float:
    """The index of sets of neurons of one layer; NaN for fewer than two sets, or of all neurons."""
    held = np.zeros((len(sets), n_neurons))
    for row, chosen in zip(held, sets, strict=True):
        row[list(chosen)] = 1.0
    expected = float(held.mean())
    if len(sets) < 2 or expected in (0.0, 1.0):
        return math.nan
    return float(1 - held.var(axis=0, ddof=1).mean() / (expected * (1 - expected)))


def resampled_sets(
    scores: ArrayLike,
    count: int,
    *,
    clusters: ArrayLike | None = None,
    draws: int = 50,
    seed: int = 0,
) -> list[list[int]]:
    """The `count` neurons with the largest mean score on resampled items, best first, a draw each.

    **Arguments:**

    - `scores`: what each item says of each neuron, `[item, neuron]`.
    - `clusters`: items that are drawn together, `[item]`.
    """
    rows: Floats = np.asarray(scores, dtype=np.float64)
    codes = check_clusters(clusters, len(rows))
    sums, sizes = cluster_sums(rows, codes), np.bincount(codes)
    groups = len(sizes)
    drawn = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=draws)
    means = drawn @ sums / (drawn @ sizes)[:, None]
    return [[int(n) for n in own] for own in np.argsort(-means, axis=1, kind="stable")[:, :count]]
