"""Clusters: against statsmodels, enumeration, and a null in which items repeat their answers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from sna_eval.study.statistics import (
    Interval,
    cluster_codes,
    clustered_stderr,
    design_effect,
    equivalence,
    fold_numbers,
    paired_bootstrap,
    paired_permutation,
)
from sna_eval.study.statistics.clusters import Floats, Ints


def clustered(
    seed: int, clusters: int, each: int, shift: float = 0.0
) -> tuple[Floats, Floats, Ints]:
    """Pairs whose differences are those of their answers, and a little of their own."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(clusters), each)
    before = rng.normal(size=len(codes))
    change = rng.normal(size=clusters)[codes] + 0.5 * rng.normal(size=len(codes)) + shift
    return before, before + change, codes


def test_codes_are_numbers_in_the_order_of_labels() -> None:
    assert list(cluster_codes(["b", "a", "b", "c"])) == [0, 1, 0, 2]


def test_clustered_error_by_hand() -> None:
    """Deviations -1, -1, 1, 1 in two clusters: sums -2 and 2, so 2 (4 + 4) / 16 = 1."""
    assert clustered_stderr([0, 0, 2, 2], [0, 0, 1, 1]) == pytest.approx(1.0)
    assert clustered_stderr([0, 0, 2, 2]) == pytest.approx(stats.sem([0, 0, 2, 2]))


def test_clustered_error_equals_statsmodels() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 9, size=70)
    values = rng.normal(size=9)[codes] + rng.normal(size=70)
    fitted = sm.OLS(values, np.ones(70)).fit(cov_type="cluster", cov_kwds={"groups": codes})
    assert clustered_stderr(values, codes) == pytest.approx(float(fitted.bse[0]))
    both = clustered_stderr(np.stack([values, 2 * values]), codes)
    assert both == pytest.approx([fitted.bse[0], 2 * fitted.bse[0]])


def test_design_effect_of_repeated_items_is_how_often_they_repeat() -> None:
    once = np.random.default_rng(0).normal(size=50)
    codes = np.repeat(np.arange(50), 4)
    expected = (50 / 49) / (200 / 199) * 4
    assert design_effect(np.repeat(once, 4), codes) == pytest.approx(expected)
    assert math.isnan(design_effect(np.ones(8), np.arange(8) % 2))


def test_clusters_are_exchanged_together() -> None:
    """Sums over clusters 3 and 3: of four exchanges the two extreme ones reach 6."""
    found = paired_permutation([0] * 4, [1, 2, 1, 2], clusters=[0, 0, 1, 1])
    assert found == 2 / 4


def test_permutation_of_clusters_equals_enumeration() -> None:
    before, after, codes = clustered(4, 7, 3, shift=0.4)
    sums = np.bincount(codes, after - before)
    all_sums = [abs(np.dot(s, sums)) for s in itertools.product((-1, 1), repeat=7)]
    expected = np.mean(np.array(all_sums) >= abs(sums.sum()) * (1 - 1e-12))
    assert paired_permutation(before, after, clusters=codes) == expected


def test_each_item_its_own_cluster_is_no_cluster_at_all() -> None:
    before, after, _ = clustered(2, 30, 1)
    codes = np.arange(30)
    assert paired_permutation(before, after, clusters=codes) == paired_permutation(before, after)
    assert paired_bootstrap(before, after, clusters=codes) == paired_bootstrap(before, after)


def test_interval_of_equal_clusters_is_that_of_their_means() -> None:
    before, after, codes = clustered(5, 40, 5, shift=0.3)
    means = (np.bincount(codes, one) / 5 for one in (before, after))
    drawn = paired_bootstrap(before, after, clusters=codes, draws=20_000)
    of_means = paired_bootstrap(*means, draws=20_000)
    wider = stats.t.isf(0.025, 39) * math.sqrt(40 / 39) / stats.norm.isf(0.025)
    assert drawn.high - drawn.low == pytest.approx(wider * (of_means.high - of_means.low), rel=0.03)


def test_one_cluster_says_nothing() -> None:
    found = paired_bootstrap([0, 1], [1, 3], clusters=["a", "a"])
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert paired_permutation([0, 1], [1, 3], clusters=["a", "a"]) == 1.0


def test_parts_share_no_cluster_and_are_of_like_size() -> None:
    codes = np.random.default_rng(0).integers(0, 11, size=120)
    parts = fold_numbers(codes, 2)
    assert not set(codes[parts == 0]) & set(codes[parts == 1])
    assert abs(int((parts == 0).sum()) - 60) <= 12
    assert (parts == fold_numbers(codes, 2)).all()
    assert (parts != fold_numbers(codes, 2, seed=1)).any()


def test_a_null_with_clusters_keeps_its_level_and_an_effect_is_found() -> None:
    """Twenty answers, six items each: taken for independent, far more than 5 % would be found."""
    nulls = [clustered(seed, 20, 6) for seed in range(200)]
    naive = [paired_permutation(b, a, draws=499) <= 0.05 for b, a, _ in nulls]
    kept = [paired_permutation(b, a, clusters=c, draws=499) <= 0.05 for b, a, c in nulls]
    missed = [0 not in paired_bootstrap(b, a, clusters=c, draws=500) for b, a, c in nulls]
    most = stats.binom.ppf(0.999, 200, 0.05)
    assert np.mean(naive) > 0.2
    assert np.sum(kept) <= most
    assert np.sum(missed) <= most
    planted = [clustered(seed, 20, 6, shift=1.0) for seed in range(100)]
    found = [paired_permutation(b, a, clusters=c, draws=499) <= 0.05 for b, a, c in planted]
    assert np.mean(found) > 0.9


def test_equivalence_equals_statsmodels() -> None:
    from statsmodels.stats.weightstats import DescrStatsW

    values = np.random.default_rng(3).normal(0.02, 0.3, size=90)
    reference = DescrStatsW(values).ttost_mean(-0.1, 0.1)[0]
    found = equivalence(values, smallest=0.1)
    assert found.p == pytest.approx(float(reference))
    low, high = DescrStatsW(values).tconfint_mean(alpha=0.1)
    assert found.interval == Interval(pytest.approx(low), pytest.approx(high))


def test_equivalence_is_harder_with_clusters_and_keeps_its_level() -> None:
    rng = np.random.default_rng(8)
    codes = np.repeat(np.arange(25), 4)
    edge = [rng.normal(0.5, 1, size=25)[codes] + 0.3 * rng.normal(size=100) for _ in range(300)]
    shown = [equivalence(one, smallest=0.5, clusters=codes).p <= 0.05 for one in edge]
    naive = [equivalence(one, smallest=0.5).p <= 0.05 for one in edge]
    assert np.sum(shown) <= stats.binom.ppf(0.999, 300, 0.05) < np.sum(naive)
    assert equivalence(np.zeros(9), smallest=0.1).p == 0.0
    assert equivalence(np.ones(9), smallest=0.1).p == 1.0


def test_bad_clusters() -> None:
    with pytest.raises(ValueError, match="a cluster for each of 3 items"):
        paired_permutation([1, 2, 3], [2, 3, 4], clusters=[0, 1])
    with pytest.raises(ValueError, match="must be above 0"):
        equivalence([1, 2], smallest=0)
