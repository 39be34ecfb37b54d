"""What bootstrap and permutation share: items as rows of numbers, and a statistic of their means.

An item may be one number (a mean is wanted) or several columns of which the means are combined,
as in perplexity per word, `exp(-mean(log-likelihood) / mean(words))`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sna_eval.clusters import Ints
from sna_eval.errors import InputError
from sna_eval.study.statistics.clusters import cluster_sums

Floats = NDArray[np.float64]

Reduce = Callable[[Floats], Floats]
"""From means of the columns, `[..., column]`, to the statistic, `[...]`."""

_CHUNK = 4_000_000  # numbers held at once: 32 MB


@dataclass(frozen=True)
class Interval:
    """Both ends of a confidence interval."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def check_draws(draws: int) -> None:
    """Raises `InputError` for a number of draws that nothing can be drawn with."""
    if draws < 1:
        raise InputError("draws", expected="at least 1", got=draws)


def mean_of(means: Floats) -> Floats:
    """The statistic of items that are one number each: their mean."""
    return means[..., 0]


def as_columns(items: ArrayLike) -> Floats:
    """`[item]` or `[item, column]` as `[item, column]`."""
    array = np.asarray(items, dtype=np.float64)
    return array[:, None] if array.ndim == 1 else array


def paired_columns(before: ArrayLike, after: ArrayLike) -> tuple[Floats, Floats]:
    """Both halves as `[item, column]`; they must hold the same items."""
    first, second = as_columns(before), as_columns(after)
    if first.shape != second.shape:
        raise ValueError(f"pairs need equal shapes, got {first.shape} and {second.shape}")
    if len(first) == 0:
        raise ValueError("pairs need at least one item")
    return first, second


def resampled_means(rows: Floats, *, draws: int, seed: int) -> Iterator[Floats]:
    """Means of bootstrap samples of `rows`, `[item, column]`, in chunks `[draw, column]`.

    Where items take few distinct values the sample is drawn as multinomial counts of those values:
    the same distribution, at a fraction of the work.
    """
    rng = np.random.default_rng(seed)
    values, counts = np.unique(rows, axis=0, return_counts=True)
    if len(values) <= 64:
        drawn = rng.multinomial(len(rows), counts / len(rows), size=draws)
        yield drawn @ values / len(rows)
        return
    for size in chunks(draws, rows.size):
        yield rows[rng.integers(len(rows), size=(size, len(rows)))].mean(axis=1)


def resampled_cluster_means(
    rows: Floats, clusters: Ints, *, draws: int, seed: int
) -> Iterator[Floats]:
    """Means of samples of whole clusters, `[draw, column]`, as many as there are, in chunks.

    A mean is that of all items that were drawn; clusters of unlike sizes give samples of unlike
    sizes.
    """
    rng = np.random.default_rng(seed)
    sums, sizes = cluster_sums(rows, clusters), np.bincount(clusters)
    count = len(sizes)
    for size in chunks(draws, count):
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=size)
        yield drawn @ sums / (drawn @ sizes)[:, None]


def chunks(draws: int, width: int) -> Iterator[int]:
    """Sizes that add up to `draws`, each small enough to hold `width` numbers a draw."""
    size = max(1, _CHUNK // max(1, width))
    for start in range(0, draws, size):
        yield min(size, draws - start)
