"""Unpaired z-test from two published standard errors, for runs whose items are not at hand.

`z = (after - before) / sqrt(se_before^2 + se_after^2)`, as `scripts/model_comparator.py` of lm_eval
does. It takes the runs for independent. On the same items they hardly are, so the test is then
too cautious: the variance of the difference is smaller by twice the covariance, which standard
errors do not tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import norm

from sna_eval.study.statistics.sampling import Interval


@dataclass(frozen=True)
class UnpairedZ:
    """The test and the interval that belongs to it."""

    z: float
    p: float
    """Two-sided; NaN where both standard errors are 0 and yet the values differ."""
    interval: Interval


def unpaired_z(
    before: float,
    after: float,
    *,
    before_stderr: float,
    after_stderr: float,
    confidence: float = 0.95,
) -> UnpairedZ:
    """The test of `after - before`."""
    difference = after - before
    stderr = math.hypot(before_stderr, after_stderr)
    if stderr == 0:
        equal = difference == 0
        z = 0.0 if equal else math.nan
        return UnpairedZ(z, 1.0 if equal else math.nan, Interval(difference, difference))
    z = difference / stderr
    reach = float(norm.ppf((1 + confidence) / 2)) * stderr
    p = float(2 * norm.sf(abs(z)))
    return UnpairedZ(z, p, Interval(difference - reach, difference + reach))
