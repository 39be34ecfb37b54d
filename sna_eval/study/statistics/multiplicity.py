"""Corrections for having tested many tasks.

`holm` bounds the chance of even one false find (Holm 1979, Scandinavian Journal of Statistics 6,
65-70); `benjamini_hochberg` bounds the expected share of false finds (Benjamini and Hochberg 1995,
Journal of the Royal Statistical Society B 57, 289-300). Both give adjusted p-values, to be compared
with the level itself. Computed by statsmodels; tests that were not made (NaN) stay so and do not
count.
"""

from __future__ import annotations

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


def _adjusted(p_values: Sequence[float], method: Literal["holm", "fdr_bh"]) -> list[float]:
    adjusted = np.asarray(p_values, dtype=np.float64).copy()
    made = ~np.isnan(adjusted)
    if made.any():
        adjusted[made] = multipletests(adjusted[made], method=method)[1]
    return [float(p) for p in adjusted]
