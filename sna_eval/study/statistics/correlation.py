"""Pearson and Spearman correlation over tasks, with a bootstrap interval.

Spearman's is Pearson's of the ranks, ties at their mean rank. The p-values are SciPy's, for no
correlation at all. The interval is the percentile bootstrap over tasks: draw tasks with
replacement, each with both its values. (Efron and Tibshirani 1993, chapter 13; the figure reported
in Akhtar 2026, section 4.1, has 10,000 draws over 12 tasks.) Twelve tasks bear little: the
interval is wide, and draws that hold one task only have no correlation and are left out.

A correlation of a baseline with an improvement *in percent of that baseline* is not evidence of
anything by itself: see `ratio_null`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import pearsonr, rankdata, spearmanr

from sna_eval.study.statistics.sampling import Floats, Interval

CorrelationKind = Literal["pearson", "spearman"]


@dataclass(frozen=True)
class Correlation:
    """A coefficient with its uncertainty."""

    kind: CorrelationKind
    coefficient: float
    p: float
    """Two-sided, against no correlation."""
    interval: Interval
    n: int
    """Tasks."""


def correlation(
    x: ArrayLike,
    y: ArrayLike,
    *,
    kind: CorrelationKind = "spearman",
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> Correlation:
    """The correlation of `x` and `y`, `[task]`."""
    first, second = check_tasks(x, y)
    test = spearmanr if kind == "spearman" else pearsonr
    found = test(first, second)
    index = np.random.default_rng(seed).integers(len(first), size=(draws, len(first)))
    drawn = coefficients(first[index], second[index], kind=kind)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    interval = Interval(float(low), float(high))
    return Correlation(kind, float(found.statistic), float(found.pvalue), interval, len(first))


def coefficients(x: Floats, y: Floats, *, kind: CorrelationKind) -> Floats:
    """Correlations of the rows of `x` and `y`, `[draw, task]`: `[draw]`; NaN for constant rows."""
    if kind == "spearman":
        x, y = rankdata(x, axis=-1), rankdata(y, axis=-1)
    x = x - x.mean(axis=-1, keepdims=True)
    y = y - y.mean(axis=-1, keepdims=True)
    scale = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0, (x * y).sum(axis=-1) / scale, np.nan)


def check_tasks(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Both as arrays; a correlation needs three tasks and more than one value of each."""
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"expected two lists of one length, got {first.shape} and {second.shape}")
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        raise ValueError("a correlation needs at least three tasks and values that vary")
    return first, second
