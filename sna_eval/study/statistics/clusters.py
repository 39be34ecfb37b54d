"""Items that go together: those that share their answer are exchanged, drawn and split together.

Twenty sums with the answer 7 are not twenty observations of an intervention that makes 7 likelier.
A standard error that takes items for independent is then too small by the root of the *design
effect*, the variance of the mean with clusters over the variance without (Kish 1965, Survey
Sampling, chapter 5). With `r_g` the sum over cluster `g` of the items' deviations from the mean,

    var(mean) = G / (G - 1) * sum_g r_g^2 / n^2

(Liang and Zeger 1986, Biometrika 73, 13-22; for evaluations, Miller 2024, arXiv:2411.00640, without
the factor). With few clusters every such figure is rough, and tests find too much (Cameron, Gelbach
and Miller 2008, Review of Economics and Statistics 90, 414-427); `FEW` is where we begin to say so.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sna_eval.clusters import Ints

Floats = NDArray[np.float64]

FEW = 20
"""Clusters below which intervals and p-values are rough."""


def check_clusters(clusters: ArrayLike | None, items: int) -> Ints:
    """Clusters as numbers from 0, `[item]`; `None` makes every item one of its own.

    **Raises:** `ValueError` where there is not one of them an item.
    """
    if clusters is None:
        return np.arange(items)
    given = np.asarray(clusters)
    if given.shape != (items,):
        raise ValueError(f"expected a cluster for each of {items} items, got {given.shape}")
    return np.unique(given, return_inverse=True)[1].astype(np.int64)


def cluster_sums(rows: Floats, clusters: Ints) -> Floats:
    """Sums over clusters: `[item, column]` to `[cluster, column]`."""
    order = np.argsort(clusters, kind="stable")
    starts = np.searchsorted(clusters[order], np.arange(clusters.max() + 1))
    return np.asarray(np.add.reduceat(rows[order], starts, axis=0))


def clustered_stderr(values: ArrayLike, clusters: ArrayLike | None = None) -> Floats:
    """Standard errors of means, `[..., item]` to `[...]`; NaN for fewer than two clusters.

    Without clusters these are the usual `s / sqrt(n)`.
    """
    array = np.asarray(values, dtype=np.float64)
    codes = check_clusters(clusters, array.shape[-1])
    deviations = (array - array.mean(axis=-1, keepdims=True)).reshape(-1, array.shape[-1])
    sums = cluster_sums(deviations.T, codes)
    count = len(sums)
    if count < 2:
        return np.full(array.shape[:-1], math.nan)
    variance = count / (count - 1) * (sums**2).sum(axis=0) / array.shape[-1] ** 2
    return np.asarray(np.sqrt(variance).reshape(array.shape[:-1]))


def design_effect(values: ArrayLike, clusters: ArrayLike) -> float:
    """How many times the variance of a mean is that of independent items.

    1 where clusters say nothing; up to the size of the clusters where they say all. NaN where the
    items do not vary, or form one cluster.
    """
    independent = float(clustered_stderr(values))
    return float(clustered_stderr(values, clusters) / independent) ** 2 if independent else math.nan
