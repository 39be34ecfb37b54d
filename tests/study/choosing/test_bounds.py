"""Lower bounds, worked by hand and against SciPy's own interval of a t test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sna_eval.errors import InputError
from sna_eval.study.choosing import lower_bounds


def test_by_hand() -> None:
    """Effects 1, 2, 3: mean 2, s = 1, and t at 95 % with 2 degrees of freedom is 2.9200."""
    bound = lower_bounds(np.array([1.0, 2.0, 3.0]))
    assert bound == pytest.approx(2 - 2.91998558 / np.sqrt(3), abs=1e-8)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_equals_the_interval_of_a_t_test(confidence: float) -> None:
    effects = np.random.default_rng(0).normal(0.3, 1.0, (4, 17))
    expected = [
        stats.ttest_1samp(own, 0, alternative="greater").confidence_interval(confidence).low
        for own in effects
    ]
    np.testing.assert_allclose(lower_bounds(effects, confidence=confidence), expected)


def test_no_effect_is_bounded_by_zero() -> None:
    assert lower_bounds(np.zeros((2, 5))).tolist() == [0.0, 0.0]


def test_covers_as_often_as_it_says() -> None:
    samples = np.random.default_rng(1).normal(0.7, 2.0, (20_000, 8))
    assert (lower_bounds(samples) < 0.7).mean() == pytest.approx(0.95, abs=0.005)


def test_needs_two_items_and_a_share() -> None:
    with pytest.raises(InputError, match="by: expected two items or more for a lower bound"):
        lower_bounds(np.array([[1.0]]))
    with pytest.raises(InputError, match=r"confidence: expected 0\.5 or more and below 1"):
        lower_bounds(np.array([1.0, 2.0]), confidence=1.0)
