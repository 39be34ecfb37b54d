"""Items that go together: their labels as numbers, and parts of a task's items that share none."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]


def cluster_codes(labels: Sequence[Hashable]) -> Ints:
    """Numbers of clusters, `[item]`, from 0 in the order in which their labels come."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def fold_numbers(clusters: ArrayLike, folds: int, *, seed: int = 0) -> Ints:
    """Parts of about equally many items, `[item]` from 0, that share no cluster.

    Clusters in random order, the largest first, each into the part that is smallest so far.
    """
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    sizes = np.bincount(codes)
    mixed = np.random.default_rng(seed).permutation(len(sizes))
    filled, fold_of = np.zeros(folds, dtype=np.int64), np.zeros(len(sizes), dtype=np.int64)
    for cluster in mixed[np.argsort(-sizes[mixed], kind="stable")]:
        fold_of[cluster] = smallest = int(filled.argmin())
        filled[smallest] += sizes[cluster]
    return fold_of[codes]
