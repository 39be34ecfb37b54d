"""Paired tests against SciPy, statsmodels, enumeration and numbers worked by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from sna_eval.study.statistics import (
    Interval,
    mcnemar,
    paired_bootstrap,
    paired_permutation,
)
from sna_eval.study.statistics.sampling import Floats


def pairs(seed: int, items: int, shift: float = 0.0) -> tuple[Floats, Floats]:
    """Correlated scores of two runs on the same items."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=items)
    return shared + rng.normal(size=items), shared + rng.normal(size=items) + shift


def right_wrong(seed: int, items: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    hard = rng.random(items) < 0.5
    flipped = rng.random((2, items)) < 0.2
    return (hard ^ flipped[0]).astype(float), (hard ^ flipped[1]).astype(float)


def test_mcnemar_by_hand() -> None:
    before = [1] + [0] * 9 + [1] * 5
    after = [0] + [1] * 9 + [1] * 5
    found = mcnemar(before, after)
    assert (found.gained, found.lost) == (9, 1)
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_equals_statsmodels(seed: int) -> None:
    before, after = right_wrong(seed, 150)
    table = [
        [np.sum((before == i) & (after == j)) for j in (0, 1)]
        for i in (0, 1)
    ]  # fmt: skip
    assert mcnemar(before, after).p == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)


def test_permutation_by_hand() -> None:
    """Differences 1, 2, 3: of the 8 exchanges only the two extreme ones reach a sum of 6."""
    assert paired_permutation([0, 0, 0], [1, 2, 3]) == 2 / 8


@pytest.mark.parametrize("items", [4, 11])
def test_exact_permutation_equals_scipy(items: int) -> None:
    before, after = pairs(items, items, shift=0.8)
    reference = stats.permutation_test(
        (before, after),
        lambda a, b, axis: np.mean(b - a, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert paired_permutation(before, after) == pytest.approx(reference.pvalue)


def test_random_permutation_agrees_with_the_exact_one() -> None:
    before, after = pairs(3, 18, shift=0.6)
    change = after - before
    sums = np.array([sum(s) for s in itertools.product(*[(-d, d) for d in change])])
    exact = np.mean(np.abs(sums) >= abs(change.sum()) * (1 - 1e-12))
    drawn = paired_permutation(before, after, draws=40_000)
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 40_000))


def test_items_without_a_difference_do_not_matter() -> None:
    before, after = pairs(1, 9, shift=1.0)
    equal = np.arange(40.0)
    padded = paired_permutation(np.r_[before, equal], np.r_[after, equal])
    assert padded == paired_permutation(before, after)


def test_permutation_of_a_ratio_equals_enumeration() -> None:
    """Perplexity per word: log-likelihoods and words, combined after the means."""

    def perplexity(means: Floats) -> Floats:
        return np.exp(-means[..., 0] / means[..., 1])

    rng = np.random.default_rng(0)
    words = rng.integers(5, 30, size=7).astype(float)
    before = np.stack([-3 * words + rng.normal(size=7), words], axis=1)
    after = np.stack([-2.9 * words + rng.normal(size=7), words], axis=1)

    def difference(a: Floats, b: Floats) -> float:
        return float(perplexity(b.sum(axis=0)) - perplexity(a.sum(axis=0)))

    observed = abs(difference(before, after))
    as_large = 0
    for swap in itertools.product([False, True], repeat=7):
        chosen = np.array(swap)[:, None]
        exchanged = difference(np.where(chosen, after, before), np.where(chosen, before, after))
        as_large += abs(exchanged) >= observed - 1e-12
    assert paired_permutation(before, after, reduce=perplexity) == as_large / 2**7


def test_bootstrap_of_three_items_equals_all_27_samples() -> None:
    change = np.array([0.0, 1.0, 5.0])
    means = [np.mean(sample) for sample in itertools.product(change, repeat=3)]
    found = paired_bootstrap(np.zeros(3), change, confidence=0.8, draws=200_000)
    low, high = np.quantile(means, [0.1, 0.9], method="inverted_cdf")
    assert found == Interval(pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("make", [pairs, right_wrong])
def test_bootstrap_equals_scipy(make: object) -> None:
    """Both ways of drawing: by index for many values, by counts for right and wrong."""
    before, after = make(7, 200)  # type: ignore[operator]
    reference = stats.bootstrap(
        (before, after),
        lambda a, b, axis: np.mean(b, axis=axis) - np.mean(a, axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = paired_bootstrap(before, after, draws=20_000)
    width = reference.high - reference.low
    assert found.low == pytest.approx(reference.low, abs=0.05 * width)
    assert found.high == pytest.approx(reference.high, abs=0.05 * width)


def test_pairing_narrows_the_interval() -> None:
    """On correlated runs, pairs beat two standard errors; that is what they are for."""
    before, after = pairs(2, 400)
    paired = paired_bootstrap(before, after)
    unpaired = 2 * 1.96 * math.hypot(stats.sem(before), stats.sem(after))
    assert paired.high - paired.low < 0.85 * unpaired


def test_same_seed_same_answer() -> None:
    before, after = pairs(5, 90, shift=0.1)
    assert paired_bootstrap(before, after, seed=3) == paired_bootstrap(before, after, seed=3)
    assert paired_bootstrap(before, after, seed=3) != paired_bootstrap(before, after, seed=4)
    assert paired_permutation(before, after, seed=3) == paired_permutation(before, after, seed=3)


@pytest.mark.parametrize("values", [np.arange(30.0), np.ones(30), np.arange(300.0) % 7])
def test_identical_runs(values: Floats) -> None:
    assert paired_permutation(values, values) == 1.0
    assert paired_bootstrap(values, values) == Interval(0.0, 0.0)
    assert mcnemar(values > 3, values > 3).p == 1.0


def test_null_pairs_are_seldom_called_significant() -> None:
    """200 pairs that do not differ, of each kind: at most 5 % and sampling error."""
    most = stats.binom.ppf(0.999, 200, 0.05)
    means = [paired_permutation(*pairs(seed, 60), draws=999) for seed in range(200)]
    flips = [mcnemar(*right_wrong(seed, 200)).p for seed in range(200)]
    assert np.sum(np.array(means) <= 0.05) <= most
    assert np.sum(np.array(flips) <= 0.05) <= most
    misses = [0 not in paired_bootstrap(*pairs(seed, 60), draws=1000) for seed in range(200)]
    assert np.sum(misses) <= most + 4  # percentile intervals are a little narrow at 60 items


def test_real_differences_are_found() -> None:
    before, after = pairs(0, 200, shift=0.5)
    assert paired_permutation(before, after) < 0.001
    assert 0.5 in paired_bootstrap(before, after)


def test_bad_pairs() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        paired_permutation([1, 2], [1])
    with pytest.raises(ValueError, match="equal shapes"):
        mcnemar([1, 0], [1])
    with pytest.raises(ValueError, match="at least one item"):
        paired_bootstrap([], [])
