"""The smallest effect that so many items could show.

The difference that a two-sided test at level `alpha` finds with probability `power`, given what
varies between the two runs. An effect below it may be there all the same; this many items cannot
tell. What varies is taken from the data, so these are planning figures for the next run, not a
verdict on this one.
"""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student


def detectable_flips(items: int, changed: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """For right and wrong, as a difference of shares; NaN where so few items can show nothing.

    With the share `s = changed / items` of items that change either way, the difference `d` solves
    `d sqrt(n) = z_(1 - alpha/2) sqrt(s) + z_power sqrt(s - d^2)` (Connor 1987, Sample size for
    testing differences in proportions for the paired-sample design, Biometrics 43, 207-211). A
    difference above the observed `s` needs more items to change, all of them one way: then `s = d`.
    """
    critical, reserve = float(norm.ppf(1 - alpha / 2)), float(norm.ppf(power))
    share = changed / items if items else 0.0

    def surplus(difference: float) -> float:
        changing = max(share, difference)
        spread = math.sqrt(max(changing - difference**2, 0.0))
        return difference * math.sqrt(items) - critical * math.sqrt(changing) - reserve * spread

    if items == 0 or surplus(1.0) < 0:
        return math.nan
    return float(brentq(surplus, 1e-12, 1.0))


def detectable_mean(
    items: int, deviation: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """For means, from the standard deviation of the items' differences; NaN where that is 0.

    `(t_(1 - alpha/2) + t_power) deviation / sqrt(n)`, quantiles with `n - 1` degrees of freedom;
    Miller (2024), Adding error bars to evals, arXiv:2411.00640, has it with normal quantiles, for
    many items. From 12 items on it is within 1 % of the noncentral t distribution's exact figure.
    """
    if items < 2 or not deviation > 0:
        return math.nan
    quantiles = student.ppf(1 - alpha / 2, items - 1) + student.ppf(power, items - 1)
    return float(quantiles) * deviation / math.sqrt(items)


def detectable_unpaired(
    before_stderr: float, after_stderr: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """For the unpaired z-test: `(z_(1 - alpha/2) + z_power) sqrt(se_before^2 + se_after^2)`."""
    stderr = math.hypot(before_stderr, after_stderr)
    return float(norm.ppf(1 - alpha / 2) + norm.ppf(power)) * stderr if stderr else math.nan
