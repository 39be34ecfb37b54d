"""Lower confidence bound of a mean effect over items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from sna_eval.errors import InputError

Floats = NDArray[np.float64]


def lower_bounds(effects: Floats, *, confidence: float = 0.95) -> Floats:
    """One-sided lower bounds of the means, `mean - t * s / sqrt(n)`.

    `t` is the quantile of Student's distribution with `n - 1` degrees of freedom and `s` the
    standard deviation of the sample, of paired differences here (Student 1908, Biometrika 6:1-25).
    The bound is that of one configuration by itself; it does not undo that the best of many was
    taken, which only fresh items can.

    **Arguments:**

    - `effects`: amplified minus baseline, `[..., item]`, of at least two items.
    - `confidence`: share of samples whose bound lies below the true mean.

    **Returns:** `[...]`.
    """
    n_items = effects.shape[-1]
    if n_items < 2:
        raise InputError(
            "by", expected="two items or more for a lower bound", got=n_items, hint="use by=mean"
        )
    if not 0.5 <= confidence < 1:
        raise InputError("confidence", expected="0.5 or more and below 1", got=confidence)
    spread = effects.std(axis=-1, ddof=1) / np.sqrt(n_items)
    bounds: Floats = effects.mean(axis=-1) - student.ppf(confidence, n_items - 1) * spread
    return bounds
