"""Trends of effects over doses: by hand, against a regression, in noise and planted."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from sna_eval.study.statistics import dose_response

DOSES = np.log([1.2, 1.6, 2.0, 2.4])


def test_by_hand() -> None:
    """Doses 1 and 2 with effects 1, 3 and 2, 4: slopes (1 + 4) / 5 and (3 + 8) / 5."""
    (found,) = dose_response([1.0, 2.0], [[1.0, 3.0], [2.0, 4.0]], [1, 1])
    assert found.trend == pytest.approx((1 + 11 / 5) / 2)
    assert found.effects == (2.0, 3.0)
    spread = stats.sem([1, 11 / 5]) * stats.t.ppf(0.975, 1)
    assert found.interval.high - found.trend == pytest.approx(spread)


def test_the_trend_is_that_of_a_regression_through_nothing() -> None:
    rng = np.random.default_rng(0)
    effects = DOSES[:, None] * rng.normal(1, 1, size=30) + 0.1 * rng.normal(size=(4, 30))
    (found,) = dose_response(DOSES.tolist(), effects, np.ones(30))
    fitted = sm.OLS(effects.ravel(), np.repeat(DOSES, 30)).fit()
    assert found.trend == pytest.approx(float(fitted.params[0]))


def test_zones_apart_and_clusters_together() -> None:
    rng = np.random.default_rng(1)
    zones = np.repeat([1, 3], 60)
    codes = np.tile(np.repeat(np.arange(20), 3), 2)
    shared = rng.normal(size=20)[codes] + np.where(zones == 1, 1.5, 0.0)
    found = dose_response(DOSES.tolist(), DOSES[:, None] * shared, zones, clusters=codes)
    alone = dose_response(DOSES.tolist(), DOSES[:, None] * shared, zones)
    assert [one.zone for one in found] == [1, 3]
    assert found[0].interval.low > 0
    assert 0 in found[1].interval
    for one, other in zip(found, alone, strict=True):
        assert one.interval.high - one.trend > 1.5 * (other.interval.high - other.trend)


def test_no_trend_is_seldom_called_one() -> None:
    codes, missed = np.repeat(np.arange(20), 3), 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        effects = DOSES[:, None] * rng.normal(size=20)[codes] + 0.2 * rng.normal(size=(4, 60))
        (found,) = dose_response(DOSES.tolist(), effects, np.ones(60), clusters=codes)
        missed += 0 not in found.interval
    assert missed <= stats.binom.ppf(0.999, 200, 0.05)


def test_what_cannot_be_said() -> None:
    (one,) = dose_response([1.0], [[0.5, 0.7]], [2, 2], clusters=[0, 0])
    assert math.isnan(one.interval.low)
    with pytest.raises(ValueError, match="doses that are not all 0"):
        dose_response([0.0], [[1.0]], [1])
    with pytest.raises(ValueError, match="expected effects of 2 doses"):
        dose_response([1.0, 2.0], [[1.0]], [1])
