"""The slope of a change on its baseline: against statsmodels, by hand, and in noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from scipy.special import expit

from sna_eval.study.statistics import baseline_slope, coefficients, slope_band
from sna_eval.study.statistics.clusters import Floats

DOMAINS = ["math", "math", "math", "code", "code", "code"] + ["poetry"] * 3 + ["logic"] * 3


def tasks(seed: int, slope: float = 0.0) -> tuple[Floats, Floats]:
    """Twelve tasks of four domains, as in the bundled group."""
    rng = np.random.default_rng(seed)
    baseline = rng.normal(-2, 1.5, size=12)
    shared = np.repeat(rng.normal(size=4), 3)
    return baseline, slope * baseline + 0.5 * shared + 0.4 * rng.normal(size=12)


def test_slope_equals_statsmodels() -> None:
    import pandas as pd

    baseline, change = tasks(3, slope=-0.3)
    table = pd.DataFrame({"x": baseline, "y": change, "g": DOMAINS})
    fitted = smf.mixedlm("y ~ x", table, groups="g").fit()
    found = baseline_slope(baseline, change, DOMAINS)
    assert found.slope == pytest.approx(fitted.params["x"], rel=1e-4)
    reach = stats.t.ppf(0.975, 12 - 4 - 1) * fitted.bse["x"]
    assert found.interval.high == pytest.approx(fitted.params["x"] + reach, rel=1e-3)
    assert (found.n, found.domains) == (12, 4)


def test_without_domains_it_is_a_line() -> None:
    baseline, change = tasks(4)
    reference = stats.linregress(baseline, change)
    found = baseline_slope(baseline, change, ["one"] * 12)
    assert found.slope == pytest.approx(reference.slope)
    assert found.p == pytest.approx(reference.pvalue)
    apart = baseline_slope(baseline, change, list(range(12)))
    assert apart.p == pytest.approx(reference.pvalue)


def test_one_equal_gain_has_no_slope_where_correlations_say_what_they_like() -> None:
    """The same gain in log-odds everywhere: -1 in percent, +1 for the change of P, slope 0."""
    logits = np.linspace(-6, -2, 12)
    before, after = expit(logits), expit(logits + 0.5)
    change = (after - before)[None]
    percent = coefficients(before[None], change / before, kind="spearman")[0]
    absolute = coefficients(before[None], change, kind="spearman")[0]
    assert (percent, absolute) == (pytest.approx(-1), pytest.approx(1))
    rng = np.random.default_rng(0)
    found = baseline_slope(logits, 0.5 + 0.01 * rng.normal(size=12), DOMAINS)
    assert abs(found.slope) < 0.01
    assert found.p > 0.05


def test_no_slope_is_seldom_called_one_and_a_planted_one_is_found() -> None:
    p = [baseline_slope(*tasks(seed), DOMAINS).p for seed in range(100)]
    assert np.sum(np.array(p) <= 0.05) <= stats.binom.ppf(0.999, 100, 0.05)
    found = [baseline_slope(*tasks(seed, slope=-0.6), DOMAINS).p <= 0.05 for seed in range(20)]
    assert np.mean(found) > 0.9


def test_band_by_hand() -> None:
    found = slope_band(-2.0, np.linspace(-1, 1, 99))
    assert found.p == pytest.approx(2 / 100)
    assert found.low == pytest.approx(-0.95)
    assert found.high == pytest.approx(0.95)
    assert slope_band(0.0, np.linspace(-1, 1, 99)).p == 1.0


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="at least three tasks"):
        baseline_slope([1, 2], [1, 2], ["a", "b"])
    with pytest.raises(ValueError, match="one baseline, change and domain"):
        baseline_slope([1, 2, 3], [1, 2], ["a", "b", "c"])
    exact = baseline_slope([1, 2, 3], [1, 2, 3], ["a", "a", "a"])
    assert exact.slope == pytest.approx(1)
    assert math.isnan(exact.p) or exact.p < 1e-6
