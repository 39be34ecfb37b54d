"""Bounds of a whole grid: against Student's, Bonferroni's, and a search in noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sna_eval.study.statistics import max_t_bounds


def test_one_configuration_has_about_students_bound() -> None:
    effects = np.random.default_rng(0).normal(0.2, 1, size=(1, 40))
    found = max_t_bounds(effects, draws=40_000)
    assert found.critical == pytest.approx(stats.t.ppf(0.95, 39), rel=0.03)
    assert found.bounds[0] == pytest.approx(effects.mean() - found.critical * stats.sem(effects[0]))


def test_unlike_configurations_cost_what_bonferroni_says_and_like_ones_nothing() -> None:
    rng = np.random.default_rng(1)
    single = rng.normal(size=(1, 200))
    alike = single + 1e-9 * rng.normal(size=(50, 200))
    critical = max_t_bounds(single).critical
    assert max_t_bounds(alike).critical == pytest.approx(critical, rel=0.02)
    apart = max_t_bounds(rng.normal(size=(50, 200))).critical
    assert apart == pytest.approx(stats.t.ppf(1 - 0.05 / 50, 199), rel=0.06)


def test_scale_of_a_configuration_does_not_matter() -> None:
    effects = np.random.default_rng(2).normal(size=(6, 60))
    scaled = max_t_bounds(effects * np.array([1, 10, 100, 1, 5, 1e-6])[:, None])
    assert scaled.critical == pytest.approx(max_t_bounds(effects).critical)


def test_what_does_nothing_is_bounded_by_nothing() -> None:
    effects = np.random.default_rng(3).normal(size=(3, 30))
    effects[1] = 0.0
    assert max_t_bounds(effects).bounds[1] == 0.0
    assert max_t_bounds(np.zeros((2, 30))).bounds.tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="two clusters"):
        max_t_bounds(effects, clusters=np.zeros(30))


def test_the_best_of_noise_is_seldom_bounded_above_zero() -> None:
    """Forty configurations of which none does anything, items of one answer alike."""
    codes = np.repeat(np.arange(24), 3)
    found, single = 0, 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        effects = rng.normal(size=(40, 24))[:, codes] + 0.3 * rng.normal(size=(40, 72))
        found += max_t_bounds(effects, clusters=codes, draws=400).bounds.max() > 0
        best = effects[effects.mean(axis=1).argmax()]
        single += best.mean() - stats.t.ppf(0.95, 71) * stats.sem(best) > 0
    assert found <= stats.binom.ppf(0.999, 150, 0.05)
    assert single > 75


def test_a_planted_effect_is_found() -> None:
    rng = np.random.default_rng(4)
    effects = rng.normal(size=(40, 80))
    effects[7] += 0.8
    assert max_t_bounds(effects).bounds.argmax() == 7
    assert max_t_bounds(effects).bounds[7] > 0.2
