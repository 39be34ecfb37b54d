"""Scales against values worked by hand, scikit-learn's formulas and each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, logit

from sna_eval.study.statistics import (
    calibration_error,
    item_scales,
    log_odds,
    resampled_places,
    scale_panel,
    stability,
    target_scales,
)


def test_every_scale_by_hand() -> None:
    scales = item_scales(np.log([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]]), [0, 2])
    assert scales.prob == pytest.approx([0.5, 0.2])
    assert scales.log_odds == pytest.approx([0.0, math.log(0.25)])
    assert scales.margin == pytest.approx([math.log(5 / 3), math.log(2 / 7)])
    assert scales.rank == pytest.approx([1, 2])
    assert scales.accuracy == pytest.approx([1, 0])
    assert scales.nll == pytest.approx([math.log(2), math.log(5)])
    assert scales.brier == pytest.approx([0.25 + 0.09 + 0.04, 0.01 + 0.49 + 0.64])
    assert scales.confidence == pytest.approx([0.5, 0.7])


def test_missing_outcomes_count_for_nothing() -> None:
    with_gap = item_scales(np.array([[math.log(0.6), math.log(0.4), -np.inf]]), [1])
    without = item_scales(np.log([[0.6, 0.4]]), [1])
    for name in ("prob", "log_odds", "margin", "rank", "brier"):
        assert getattr(with_gap, name) == pytest.approx(getattr(without, name))


@pytest.mark.parametrize("p", [1e-300, 1e-9, 0.3, 1 - 1e-9])
def test_log_odds_are_exact_at_both_ends(p: float) -> None:
    assert log_odds(math.log(p)) == pytest.approx(logit(p), rel=1e-6)


def test_calibration_error_by_hand() -> None:
    """Bins 0.6 to 0.7 (confidence 0.65, half right) and 0.9 to 1 (0.95, all right)."""
    assert calibration_error([0.65, 0.65, 0.95, 0.95], [1, 0, 1, 1]) == pytest.approx(
        0.5 * 0.15 + 0.5 * 0.05
    )
    assert calibration_error([1.0, 1.0], [1, 1]) == 0


def test_sharpening_alone_is_told_apart() -> None:
    """Twice the logits: more certain and no more often right, so rank and accuracy stay."""
    rng = np.random.default_rng(0)
    logits, gold = rng.normal(size=(120, 4)), rng.integers(0, 4, size=120)
    before, after = (item_scales(log_softmax(k * logits, axis=1), gold) for k in (1, 3))
    found = {one.scale: one for one in scale_panel(before, after, draws=500)}
    assert found["accuracy"].difference == 0
    assert found["rank"].difference == 0
    assert found["accuracy"].p == 1.0
    assert found["calibration error"].difference > 0.1
    assert found["nll"].difference > 0
    assert found["brier"].difference > 0


def test_panel_of_a_shift_says_so_on_every_scale() -> None:
    rng = np.random.default_rng(1)
    logits, gold = rng.normal(size=(90, 3)), rng.integers(0, 3, size=90)
    moved = logits + 1.0 * (np.arange(3) == gold[:, None]) * rng.random((90, 1))
    before, after = (item_scales(log_softmax(one, axis=1), gold) for one in (logits, moved))
    codes = np.arange(90) // 3
    found = {one.scale: one for one in scale_panel(before, after, clusters=codes, draws=500)}
    better = {"prob": 1, "log_odds": 1, "margin": 1, "rank": -1, "nll": -1, "brier": -1}
    for name, sign in better.items():
        assert sign * found[name].difference > 0, name
        assert found[name].p < 0.01, name
        assert found[name].difference in found[name].interval


def test_a_target_alone_has_its_own_scales() -> None:
    found = scale_panel(target_scales([-1.0, -2.0, -4.0]), target_scales([-1.0, -1.0, -3.0]))
    assert [one.scale for one in found] == ["prob", "log_odds", "nll"]
    assert found[2].difference == pytest.approx(-2 / 3)


def test_certain_items_leave_a_scale_that_has_no_value_for_them() -> None:
    one = item_scales(np.array([[0.0, -np.inf], [-1.0, math.log(1 - math.exp(-1))]]), [0, 0])
    found = {entry.scale: entry for entry in scale_panel(one, one, draws=200)}
    assert found["log_odds"].before == pytest.approx(logit(math.exp(-1)))
    assert found["prob"].before == pytest.approx((1 + math.exp(-1)) / 2)


def test_stability_by_hand_and_by_chance() -> None:
    """Two sets {0, 1} and {0, 2} of four: variances 0, 1/2, 1/2, 0 over 1/4."""
    assert stability([[0, 1], [0, 2]], 4) == pytest.approx(1 - 0.25 / 0.25)
    assert stability([[0, 1]] * 5, 4) == 1.0
    rng = np.random.default_rng(0)
    drawn = [rng.choice(200, size=20, replace=False).tolist() for _ in range(60)]
    assert stability(drawn, 200) == pytest.approx(0, abs=0.03)
    assert math.isnan(stability([[0]], 3))


def test_sets_of_resampled_items() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(60, 100))
    firm = noise + 3.0 * (np.arange(100) < 10)

    def index(scores: Any, clusters: Any) -> float:
        sets = [
            np.argsort(-scores[places].mean(axis=0))[:10].tolist()
            for places in resampled_places(clusters, draws=50)
        ]
        return stability(sets, 100)

    assert index(firm, range(60)) > 0.95
    assert index(noise, range(60)) < 0.6
    five = np.repeat(noise[:5], 12, axis=0)
    assert index(five, np.repeat(range(5), 12)) < index(five, range(60))


def test_clusters_are_drawn_whole() -> None:
    """Answers a, b, a, c: every sample is of three answers, with all their items each time."""
    for places in resampled_places(["a", "b", "a", "c"], draws=20, seed=3):
        counts = np.bincount(places, minlength=4)
        assert counts[0] == counts[2]
        assert counts[0] + counts[1] + counts[3] == 3
