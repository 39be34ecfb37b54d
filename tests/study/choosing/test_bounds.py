"""Lower bounds of a whole grid, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sna_eval.errors import InputError
from sna_eval.study.choosing import TaskEffects, choose, lower_bounds
from sna_eval.study.statistics.clusters import Floats


def test_one_configuration_has_students_bound() -> None:
    effects = np.random.default_rng(0).normal(0.3, 1.0, (1, 40))
    expected = stats.ttest_1samp(effects[0], 0, alternative="greater").confidence_interval(0.9).low
    found = lower_bounds(effects, confidence=0.9)
    assert found[0] == pytest.approx(expected, abs=0.03)


def test_no_effect_is_bounded_by_zero() -> None:
    assert lower_bounds(np.zeros((2, 5))).tolist() == [0.0, 0.0]


def test_needs_two_items_and_a_share() -> None:
    with pytest.raises(InputError, match="by: expected two items or more, of different answers"):
        lower_bounds(np.array([[1.0]]))
    with pytest.raises(InputError, match="by: expected two items or more, of different answers"):
        lower_bounds(np.array([[1.0, 2.0]]), clusters=np.zeros(2, dtype=np.int64))
    with pytest.raises(InputError, match=r"confidence: expected 0\.5 or more and below 1"):
        lower_bounds(np.array([[1.0, 2.0]]), confidence=1.0)


def test_configurations_that_a_screen_left_out_count() -> None:
    effects = np.random.default_rng(1).normal(0.5, 1.0, (10, 60))
    alone, picked = lower_bounds(effects), lower_bounds(effects, among=400)
    assert (picked < alone).all()
    whole = lower_bounds(np.random.default_rng(2).normal(0.5, 1.0, (400, 60)))
    spread = effects.std(axis=1, ddof=1) / 60**0.5
    reach = np.median((effects.mean(axis=1) - picked) / spread)
    other = np.random.default_rng(2).normal(0.5, 1.0, (400, 60))
    expected = np.median((other.mean(axis=1) - whole) / (other.std(axis=1, ddof=1) / 60**0.5))
    assert reach == pytest.approx(expected, rel=0.08)


def searched(seed: int, gain: float = 0.0) -> tuple[TaskEffects, Floats]:
    """A sweep of 40 configurations on 24 answers, three items each; one of them gains."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(24), 3)
    effects = rng.normal(size=(40, 24))[:, codes] + 0.3 * rng.normal(size=(40, 72))
    effects[5] += gain
    sure = rng.random(72)
    rows = [{"layer": n, "n_neurons": 3, "multiplier": 2.0, "oracle": False} for n in range(40)]
    cut = np.quantile(sure, 0.5)
    gated = np.where(sure < cut, effects, 0.0)
    return TaskEffects(
        "t", "prob", tuple(rows), gated, codes, 40, everywhere=effects, confidence=sure
    ), effects


def test_the_best_of_noise_is_seldom_bounded_above_zero() -> None:
    """With a gate of its own, and with the best of all gates."""
    found = [choose(searched(seed)[0]).lower_bound for seed in range(120)]
    most = stats.binom.ppf(0.999, 120, 0.05)
    assert sum(bound is not None and bound > 0 for bound in found) <= most
    gated = 0
    for seed in range(60):
        effects, everywhere = searched(seed)
        assert effects.confidence is not None
        cuts = np.quantile(effects.confidence, np.arange(1, 10) / 10)
        tried = [np.where(effects.confidence < cut, everywhere, 0.0) for cut in cuts]
        best = max(tried, key=lambda behind: float(behind.mean(axis=1).max()))
        task_effects = TaskEffects(
            "t", "prob", effects.rows, best, effects.clusters, 40,
            everywhere=everywhere, confidence=effects.confidence,
        )  # fmt: skip
        bound = choose(task_effects, fitted_gate=True).lower_bound
        gated += bound is not None and bound > 0
    assert gated <= stats.binom.ppf(0.999, 60, 0.05)


def test_a_planted_gain_is_bounded_above_zero() -> None:
    found = [choose(searched(seed, gain=1.5)[0]) for seed in range(20)]
    bounds = [choice.lower_bound for choice in found if choice.row["layer"] == 5]
    assert sum(bound is not None and bound > 0 for bound in bounds) >= 18
