"""Corrections, detectable effects, bounds and shares, against hand-worked values and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from sna_eval.study.statistics import (
    Interval,
    benjamini_hochberg,
    detectable_flips,
    detectable_mean,
    detectable_unpaired,
    golden_zone_count,
    holm,
    success_rate,
    unpaired_z,
    upper_bound,
)


def test_corrections_by_hand() -> None:
    """0.005 x 4, 0.01 x 3, 0.03 x 2 and no smaller; 0.005 x 4/1, 0.01 x 4/2, 0.03 x 4/3, 0.04."""
    p_values = [0.01, 0.04, 0.03, 0.005]
    assert holm(p_values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p_values) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_tests_that_were_not_made_do_not_count() -> None:
    found = holm([0.01, math.nan, 0.04])
    assert found[0] == pytest.approx(0.02)
    assert math.isnan(found[1])
    assert found[2] == pytest.approx(0.04)
    assert all(map(math.isnan, benjamini_hochberg([math.nan])))
    assert holm([]) == []


def test_unpaired_z_by_hand() -> None:
    """Standard errors 0.03 and 0.04 make 0.05, so 0.1 is two of them."""
    found = unpaired_z(0.3, 0.4, before_stderr=0.03, after_stderr=0.04)
    assert found.z == pytest.approx(2.0)
    assert found.p == pytest.approx(0.0455, abs=5e-5)
    assert found.interval.low == pytest.approx(0.1 - 1.959964 * 0.05)


def test_unpaired_z_without_spread() -> None:
    same = unpaired_z(0.5, 0.5, before_stderr=0.0, after_stderr=0.0)
    assert (same.p, same.interval) == (1.0, Interval(0.0, 0.0))
    assert math.isnan(unpaired_z(0.5, 0.6, before_stderr=0.0, after_stderr=0.0).p)


def test_detectable_flips_are_found_as_often_as_said() -> None:
    items, share = 400, 0.25
    found = detectable_flips(items, int(items * share))
    chances = [(share + found) / 2, (share - found) / 2, 1 - share]
    gained, lost, _ = np.random.default_rng(0).multinomial(items, chances, size=4000).T
    z = (gained - lost) / np.sqrt(gained + lost)
    assert np.mean(np.abs(z) > 1.959964) == pytest.approx(0.8, abs=0.02)


def test_detectable_flips_solve_the_published_sample_size() -> None:
    """Connor (1987): n = (z_a sqrt(s) + z_b sqrt(s - d^2))^2 / d^2."""
    share, difference = 0.3, 0.1
    needed = (1.959964 * math.sqrt(share) + 0.841621 * math.sqrt(share - difference**2)) ** 2
    items = needed / difference**2
    assert detectable_flips(round(items), round(items * share)) == pytest.approx(0.1, abs=5e-4)


def test_detectable_flips_of_few_items() -> None:
    assert math.isnan(detectable_flips(0, 0))
    assert math.isnan(detectable_flips(3, 0))
    few, many = detectable_flips(45, 0), detectable_flips(2000, 0)
    assert 0 < many < few < 0.3


def test_detectable_mean_is_found_as_often_as_said() -> None:
    items, deviation = 25, 2.0
    shift = detectable_mean(items, deviation)
    drawn = np.random.default_rng(1).normal(shift, deviation, size=(4000, items))
    p_values = stats.ttest_1samp(drawn, 0, axis=1).pvalue
    assert np.mean(p_values < 0.05) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("items", [12, 30, 500])
def test_detectable_mean_agrees_with_the_noncentral_t(items: int) -> None:
    exact = TTestPower().solve_power(nobs=items, alpha=0.05, power=0.8)
    assert detectable_mean(items, 2.0) == pytest.approx(2 * exact, rel=0.01)


def test_detectable_mean_of_nothing() -> None:
    assert math.isnan(detectable_mean(1, 2.0))
    assert math.isnan(detectable_mean(50, 0.0))


def test_detectable_unpaired() -> None:
    expected = (1.959964 + 0.841621) * 0.05
    assert detectable_unpaired(0.03, 0.04) == pytest.approx(expected, rel=1e-5)
    assert math.isnan(detectable_unpaired(0.0, 0.0))


@pytest.mark.parametrize(("cases", "items"), [(0, 45), (3, 45), (44, 45), (45, 45)])
def test_upper_bound_equals_scipy(cases: int, items: int) -> None:
    test = stats.binomtest(cases, items, alternative="less")
    assert upper_bound(cases, items) == pytest.approx(test.proportion_ci(0.95, "exact").high)


def test_upper_bound_is_the_rule_of_three() -> None:
    assert upper_bound(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert math.isnan(upper_bound(0, 0))


def test_shares_of_configurations() -> None:
    improvements = [-3.0, 0.0, 0.1, 10.0, 10.1, 70.3]
    assert success_rate(improvements) == pytest.approx(4 / 6)
    assert golden_zone_count(improvements) == 2
    assert math.isnan(success_rate([]))
    assert golden_zone_count([]) == 0
