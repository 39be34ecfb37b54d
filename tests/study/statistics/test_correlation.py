"""Correlations against SciPy and the paper's own p-values, the ratio null against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from sna_eval.study.statistics import coefficients, correlation, ratio_null
from sna_eval.study.statistics.sampling import Floats


def with_pearson(r: float, n: int = 12) -> tuple[Floats, Floats]:
    """Two lists whose Pearson correlation is exactly `r`."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, n))
    x = (x - x.mean()) / np.std(x)
    noise = noise - noise.mean() - x * np.mean(noise * x)
    return x, r * x + np.sqrt(1 - r**2) * noise / np.std(noise)


def with_spearman(rho: float, n: int = 12) -> tuple[Floats, Floats]:
    """Ranks whose Spearman correlation rounds to `rho`: `1 - 6 sum d^2 / (n (n^2 - 1))`."""
    rng = np.random.default_rng(0)
    ranks = np.arange(n, dtype=float)
    while True:
        other = rng.permutation(ranks)
        found = 1 - 6 * np.sum((ranks - other) ** 2) / (n * (n**2 - 1))
        if round(found, 3) == rho:
            return ranks, other


def test_published_p_values() -> None:
    """Akhtar (2026), section 4.1: r = -0.503, p = 0.095; rho = -0.762, p = 0.004; 12 tasks."""
    linear = correlation(*with_pearson(-0.503), kind="pearson", draws=100)
    assert linear.coefficient == pytest.approx(-0.503)
    assert linear.p == pytest.approx(0.095, abs=0.001)
    ranks = correlation(*with_spearman(-0.762), draws=100)
    assert ranks.coefficient == pytest.approx(-0.762, abs=5e-4)
    assert ranks.p == pytest.approx(0.004, abs=5e-4)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_interval_equals_scipy(kind: str) -> None:
    x, y = with_pearson(-0.6, n=20)
    test = stats.pearsonr if kind == "pearson" else stats.spearmanr
    reference = stats.bootstrap(
        (x, y),
        lambda a, b: test(a, b).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(5),
    ).confidence_interval
    found = correlation(x, y, kind=kind, draws=20_000).interval  # type: ignore[arg-type]
    assert found.low == pytest.approx(reference.low, abs=0.03)
    assert found.high == pytest.approx(reference.high, abs=0.03)


def test_rowwise_coefficients_equal_scipy_with_ties() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 4, size=(2, 6, 9)).astype(float)
    for kind, test in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        expected = [test(a, b).statistic for a, b in zip(x, y, strict=True)]
        assert coefficients(x, y, kind=kind) == pytest.approx(expected)  # type: ignore[arg-type]


def test_a_shared_denominator_is_no_finding() -> None:
    """Changes that know nothing of the baseline: in percent they fall with it all the same."""
    rng = np.random.default_rng(4)
    baseline, change = np.geomspace(0.003, 0.5, 12), rng.uniform(0.01, 0.02, size=12)
    found = ratio_null(baseline, change, draws=4000)
    assert found.improvement.coefficient < -0.9
    assert found.improvement.p < 0.001
    assert found.null_mean < -0.9
    assert found.p > 0.05
    assert abs(found.absolute.coefficient) < 0.5


def test_a_real_dependence_stands_out_from_the_null() -> None:
    baseline = np.geomspace(0.05, 0.5, 12)
    change = 0.02 / baseline**2
    found = ratio_null(baseline, change, kind="pearson", draws=4000)
    assert found.absolute.coefficient < 0
    assert found.p < 0.05


def test_null_equals_all_deals() -> None:
    baseline, change = np.array([0.1, 0.2, 0.4, 0.5, 0.9]), np.array([0.05, -0.01, 0.2, 0.03, 0.1])
    deals = np.array(list(itertools.permutations(change)))
    null = np.array([stats.pearsonr(baseline, deal / baseline * 100).statistic for deal in deals])
    found = ratio_null(baseline, change, kind="pearson", draws=20_000)
    observed = stats.pearsonr(baseline, change / baseline * 100).statistic
    assert found.improvement.coefficient == pytest.approx(observed)
    assert found.null_mean == pytest.approx(null.mean(), abs=0.01)
    tails = min(np.mean(null <= observed + 1e-12), np.mean(null >= observed - 1e-12))
    assert found.p == pytest.approx(min(1, 2 * tails), abs=0.02)


def test_null_keeps_its_level() -> None:
    """200 sets of tasks whose changes are drawn apart from their baselines."""
    rng = np.random.default_rng(9)
    found = [
        ratio_null(rng.uniform(0.01, 0.6, 12), rng.normal(0.01, 0.02, 12), draws=200, seed=seed).p
        for seed in range(200)
    ]
    assert np.sum(np.array(found) <= 0.05) <= stats.binom.ppf(0.999, 200, 0.05)


def test_bad_tasks() -> None:
    with pytest.raises(ValueError, match="at least three tasks"):
        correlation([1, 2], [3, 4])
    with pytest.raises(ValueError, match="values that vary"):
        correlation([1, 1, 1], [3, 4, 5])
    with pytest.raises(ValueError, match="one length"):
        correlation([1, 2, 3], [3, 4])
    with pytest.raises(ValueError, match="baselines above 0"):
        ratio_null([0.0, 0.1, 0.2], [0.1, 0.2, 0.1])
