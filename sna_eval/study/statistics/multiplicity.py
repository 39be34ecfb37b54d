"""Corrections for having tested many tasks.

`holm` bounds the chance of even one false find (Holm 1979, Scandinavian Journal of Statistics 6,
65-70); `benjamini_hochberg` bounds the expected share of false finds (Benjamini and Hochberg 1995,
Journal of the Royal Statistical Society B 57, 289-300). Both give adjusted p-values, to be compared
with the level itself. Computed by statsmodels; tests that were not made (NaN) stay so and do not
count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from statsmodels.stats.multitest import multipletests


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values after Holm, in the order given."""
    return _adjusted(p_values, "holm")


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values after Benjamini and Hochberg, in the order given."""
    return _adjusted(p_values, "fdr_bh")


def draws_needed(tests: int, *, alpha: float = 0.05) -> int:
    """Draws of a null with which one of `tests` p-values can come to `alpha` after Holm.

    The smallest p-value is `1 / (draws + 1)`, and Holm takes it times the number of tests: 20 draws
    cannot show anything over 12 tasks, which need 239.
    """
    return math.ceil(tests / alpha * (1 - 1e-12)) - 1


def _adjusted(p_values: Sequence[float], method: Literal["holm", "fdr_bh"]) -> list[float]:
    adjusted = np.asarray(p_values, dtype=np.float64).copy()
    made = ~np.isnan(adjusted)
    if made.any():
        adjusted[made] = multipletests(adjusted[made], method=method)[1]
    return [float(p) for p in adjusted]
