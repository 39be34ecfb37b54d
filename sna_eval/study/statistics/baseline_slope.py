"""How the change of log-odds goes with the baseline, tasks of one domain taken together.

The correlation of a baseline with an improvement in percent of it is negative by construction, and
one equal gain in log-odds gives -1 for percent and +1 for the absolute change of small
probabilities: neither can carry a verdict. The slope of

    change_i = a + b baseline_i + u_domain(i) + e_i

does not depend on the scale's ends; `u` is what the tasks of a domain share (Laird and Ware 1982,
Biometrics 38, 963-974; fitted by REML, statsmodels). Change and baseline must be of items on which
nothing was chosen. A placebo that searches has a slope too: `band` holds the claim's against those.

Quantiles are Student's with `n - domains - 1` degrees of freedom; normal ones find too much in a
dozen tasks.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from sna_eval.clusters import cluster_codes
from sna_eval.study.statistics.clusters import Floats
from sna_eval.study.statistics.sampling import Interval


@dataclass(frozen=True)
class BaselineSlope:
    """Change of log-odds per unit of the baseline's log-odds."""

    slope: float
    interval: Interval
    """NaN where there are too few tasks for as many domains."""
    p: float
    """Two-sided, against 0."""
    n: int
    domains: int


@dataclass(frozen=True)
class SlopeBand:
    """A slope among those of random rankings that were given the same search."""

    low: float
    high: float
    """Where 95 % of them lie."""
    p: float
    """Two-sided: twice the smaller share of them at least as far out."""
    draws: int


def baseline_slope(
    baseline: ArrayLike,
    change: ArrayLike,
    domains: Sequence[Hashable],
    *,
    confidence: float = 0.95,
) -> BaselineSlope:
    """The slope of `change` on `baseline`, log-odds, `[task]` each.

    **Arguments:**

    - `domains`: of each task, such as `sna_math`.

    **Raises:** `ValueError` for fewer than three tasks, or baselines that do not vary.
    """
    base, moved = (np.asarray(values, dtype=np.float64) for values in (baseline, change))
    if base.shape != moved.shape or base.shape != (len(domains),):
        raise ValueError(
            f"expected one baseline, change and domain a task, got {base.shape}, {moved.shape} "
            f"and {len(domains)}"
        )
    if len(base) < 3 or np.ptp(base) == 0:
        raise ValueError("a slope needs at least three tasks and baselines that vary")
    groups = cluster_codes(domains)
    count = int(groups.max()) + 1
    slope, stderr = _fitted(base, moved, groups, count)
    freedom = len(base) - (count if 1 < count < len(base) else 1) - 1
    if freedom < 1 or not stderr > 0:
        return BaselineSlope(slope, Interval(math.nan, math.nan), math.nan, len(base), count)
    reach = float(student.ppf((1 + confidence) / 2, freedom)) * stderr
    p = float(2 * student.sf(abs(slope) / stderr, freedom))
    return BaselineSlope(slope, Interval(slope - reach, slope + reach), p, len(base), count)


def slope_band(slope: float, nulls: ArrayLike, *, confidence: float = 0.95) -> SlopeBand:
    """A slope against those of searched random rankings, `[draw]`."""
    drawn = np.asarray(nulls, dtype=np.float64)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    below, above = (
        (1 + int(np.sum(sign * drawn >= sign * slope - 1e-12))) / (1 + len(drawn))
        for sign in (-1, 1)
    )
    return SlopeBand(float(low), float(high), min(1.0, 2 * min(below, above)), len(drawn))


def _fitted(base: Floats, moved: Floats, groups: ArrayLike, count: int) -> tuple[float, float]:
    """Slope and standard error; of least squares where domains cannot be told from tasks."""
    design = np.column_stack([np.ones_like(base), base])
    if 1 < count < len(base):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a variance of 0 is an answer
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                found = MixedLM(moved, design, groups=groups).fit(reml=True)
            except np.linalg.LinAlgError:
                found = None
            stderr = math.nan if found is None else float(found.bse_fe[1])
        if found is not None and math.isfinite(stderr):
            return float(found.fe_params[1]), stderr
    return _least_squares(design, moved)


def _least_squares(design: Floats, moved: Floats) -> tuple[float, float]:
    fitted, residual = np.linalg.lstsq(design, moved)[:2]
    freedom = len(moved) - 2
    variance = float(residual[0]) / freedom if residual.size and freedom > 0 else math.nan
    inverse = np.linalg.inv(design.T @ design)
    return float(fitted[1]), math.sqrt(variance * inverse[1, 1])
