"""McNemar's exact test: did more items turn right than turned wrong?

With `b` items that only the first run has right and `c` that only the second has, chance alone
would send each of the `b + c` either way with probability one half, so
`p = P(|X - n/2| >= |b - n/2|)` for `X ~ Binomial(n = b + c, 1/2)`. Exact at every size: no
chi-squared approximation and no continuity correction.

McNemar (1947), Note on the sampling error of the difference between correlated proportions or
percentages, Psychometrika 12, 153-157. For two classifiers on one test set: Dietterich (1998),
Neural Computation 10, 1895-1923.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest


@dataclass(frozen=True)
class McNemar:
    """Items that changed, and how surprising their imbalance is."""

    gained: int
    """Wrong before, right after."""
    lost: int
    """Right before, wrong after."""
    p: float
    """Two-sided."""


def mcnemar(before: ArrayLike, after: ArrayLike) -> McNemar:
    """The exact test on right (1) and wrong (0).

    **Arguments:**

    - `before`, `after`: `[item]`, the same items in the same order.
    """
    first, second = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    if first.shape != second.shape:
        raise ValueError(f"pairs need equal shapes, got {first.shape} and {second.shape}")
    gained = int(np.sum(~first & second))
    lost = int(np.sum(first & ~second))
    changed = gained + lost
    return McNemar(gained, lost, float(binomtest(gained, changed).pvalue) if changed else 1.0)
