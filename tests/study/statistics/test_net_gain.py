"""Net gain of a gate: by hand, in noise, and where a gate was planted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sna_eval.study.statistics import GatedItems, draws_needed, holm, net_gain
from sna_eval.study.statistics.clusters import Floats
from sna_eval.study.statistics.net_gain import best_cut


def task(seed: int, *, planted: bool, configurations: int = 30, clusters: int = 40) -> GatedItems:
    """Items that are won and lost by chance; planted: below 0.5 they are mostly won."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(clusters), 3)
    sure = rng.random(len(codes))
    effects = rng.normal(size=(configurations, clusters))[:, codes]
    effects += 0.5 * rng.normal(size=effects.shape)
    if planted:
        effects[0] += np.where(sure < 0.5, 2.0, -0.4)
    gains = np.where(effects > 0.5, 1.0, np.where(effects < -0.5, -1.0, 0.0))
    return GatedItems(sure, gains, effects, codes)


def test_best_cut_by_hand() -> None:
    """Won, won, lost, won, lost, lost: two are won net below the third item, and no more later."""
    sure, gains = np.array([1, 2, 3, 4, 5, 6.0]), np.array([1, 1, -1, 1, -1, -1.0])
    assert best_cut([sure], [gains]) == 2.5
    assert best_cut([sure], [-np.abs(gains)]) == -np.inf
    assert best_cut([sure], [np.abs(gains)]) > 6


def test_best_cut_equals_trying_each() -> None:
    rng = np.random.default_rng(0)
    sure = [np.round(rng.random(30), 1), np.round(rng.random(50), 1)]
    gains = [rng.integers(-1, 2, size=len(one)).astype(float) for one in sure]

    def net(cut: float) -> float:
        return float(sum(g[c < cut].sum() / len(g) for c, g in zip(sure, gains, strict=True)))

    tried = [net(cut) for cut in np.arange(-0.05, 1.2, 0.1)]
    assert net(best_cut(sure, gains)) == pytest.approx(max(tried))


def test_items_that_are_left_out_decide() -> None:
    """The held-out contributions are those of cuts fitted without them, worked again plainly."""
    measured = task(1, planted=True, configurations=1)
    found = net_gain([measured], folds=2)
    from sna_eval.study.statistics import fold_numbers

    parts, total = fold_numbers(measured.clusters, 2), 0.0
    for fold in (0, 1):
        kept = parts != fold
        cut = best_cut([measured.confidence[kept]], [measured.gains[0, kept]])
        total += measured.gains[0][~kept & (measured.confidence < cut)].sum()
    assert found.gain == pytest.approx(total / len(measured.confidence))
    assert found.won - found.lost == pytest.approx(found.gain)


def _kept(seed: int, *, planted: bool) -> bool:
    return net_gain([task(seed, planted=planted)], draws=39).low > 0


def test_a_gate_on_noise_is_seldom_kept_and_a_planted_one_is_found() -> None:
    kept = sum(_kept(seed, planted=False) for seed in range(80))
    assert kept <= stats.binom.ppf(0.999, 80, 0.05)
    assert sum(_kept(seed, planted=True) for seed in range(16)) >= 12


def test_two_items_of_sixty_are_no_sure_gain() -> None:
    gains = np.zeros((1, 60))
    gains[0, [3, 40]] = 1.0
    found = net_gain([GatedItems(np.arange(60) / 60, gains, gains, np.arange(60))])
    assert found.gain > 0
    assert found.low < 0


def test_tasks_count_alike() -> None:
    def plain(gains: Floats, sure: Floats) -> GatedItems:
        return GatedItems(sure, gains[None], gains[None], np.arange(len(gains)))

    good = plain(np.ones(100), np.linspace(0, 1, 100))
    bad = plain(-np.ones(10), np.linspace(2, 3, 10))
    found = net_gain([good, bad])
    assert found.gain == pytest.approx(0.5, abs=0.01)
    assert found.clusters == 110


def test_draws_that_holm_needs() -> None:
    assert draws_needed(12) == 239
    assert draws_needed(1) == 19
    assert draws_needed(3, alpha=0.01) == 299
    for tests in (1, 7, 12):
        smallest = 1 / (draws_needed(tests) + 1)
        assert holm([smallest] + [1.0] * (tests - 1))[0] <= 0.05 + 1e-12
