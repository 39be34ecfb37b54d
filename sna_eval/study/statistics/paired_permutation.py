"""Paired permutation test: were the labels "before" and "after" worth anything?

If the two runs do not differ, an item's two scores may be exchanged. The statistic of the observed
labelling is compared with those of all `2^k` exchanges of the `k` items whose scores differ
(the others cannot matter), or of random exchanges where there are too many. Two-sided.

Items that share a cluster are exchanged together. `k` clusters that differ allow no p-value below
`2 / 2^k`: from six on, one below 0.05 can be reached.

With random exchanges `p = (1 + #{as large}) / (1 + draws)`, so that it is never 0 and the test
keeps its level: Phipson and Smyth (2010), Permutation p-values should never be zero, Statistical
Applications in Genetics and Molecular Biology 9, 39. The test itself: Fisher (1935), The Design of
Experiments, section 21; for systems on one test set, Noreen (1989) and Dror et al. (2018), ACL.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from sna_eval.study.statistics.clusters import check_clusters, cluster_sums
from sna_eval.study.statistics.sampling import Floats, Reduce, chunks, mean_of, paired_columns

EXACT_ITEMS = 16
"""Up to so many differing items, or clusters, all exchanges are gone through: 65,536 of them."""

_TOLERANCE = 1e-10
"""Relative: sums in another order of adding must still count as equal."""


def paired_permutation(
    before: ArrayLike,
    after: ArrayLike,
    *,
    reduce: Reduce = mean_of,
    clusters: ArrayLike | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> float:
    """The two-sided p-value of `statistic(after) - statistic(before)`.

    **Arguments:**

    - `before`, `after`: `[item]` or `[item, column]`, the same items in the same order.
    - `reduce`: the statistic, from column means; by default the mean.
    - `clusters`: what is exchanged together, `[item]`; `None`: nothing.
    - `draws`: random exchanges, where there are too many for all.
    """
    first, second = paired_columns(before, after)
    codes = check_clusters(clusters, len(first))
    moved = cluster_sums(second - first, codes)
    differing = np.any(cluster_sums((first != second).astype(np.float64), codes) > 0, axis=1)
    change = moved[differing]
    middle = (first.mean(axis=0) + second.mean(axis=0)) / 2

    def differences(signs: Floats) -> Floats:
        half = signs @ change / (2 * len(first))
        return reduce(middle + half) - reduce(middle - half)

    observed = abs(float(differences(np.ones((1, len(change))))[0]))
    bound = observed * (1 - _TOLERANCE)
    exact = len(change) <= EXACT_ITEMS
    signs = _all_signs(len(change)) if exact else _random_signs(len(change), draws, seed)
    as_large = sum(int(np.sum(np.abs(differences(block)) >= bound)) for block in signs)
    return as_large / 2 ** len(change) if exact else (1 + as_large) / (1 + draws)


def _all_signs(items: int) -> Iterator[Floats]:
    """Every exchange once, `[2^items, item]` of -1 and 1."""
    numbers = np.arange(2**items)[:, None]
    yield np.where(numbers >> np.arange(items) & 1, 1.0, -1.0)


def _random_signs(items: int, draws: int, seed: int) -> Iterator[Floats]:
    """Random exchanges in chunks `[draw, item]`."""
    rng = np.random.default_rng(seed)
    for size in chunks(draws, items):
        yield rng.choice(np.array([-1.0, 1.0]), size=(size, items))
