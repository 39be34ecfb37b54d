"""Slopes of made-up claims and placebos over twelve tasks."""

from __future__ import annotations

import numpy as np
import pytest

from sna_eval.study.nulls import Found, SearchedNull, TestItems, claimed_slope
from sna_eval.study.nulls.records import Outcomes
from sna_eval.study.statistics import baseline_slope

DOMAINS = [name for name in ("math", "poetry", "coding", "logic") for _ in range(3)]


def outcomes(log_odds: list[float]) -> Outcomes:
    count = len(log_odds)
    return Outcomes((0.0,) * count, tuple(log_odds), (0.0,) * count, (1,) * count, (True,) * count)


def found(draw: int, after: list[float]) -> Found:
    return Found(
        draw, 0, 3, 2.0, 2.0, {}, 0.0, 0.0, 0.0, 0.0, True, 0.0, (), (), outcomes(after)
    )  # fmt: skip


def nulls(slope: float, seed: int = 0, draws: int = 49) -> list[SearchedNull]:
    """Twelve tasks of two items; the claim's change falls with the baseline, placebos' do not."""
    rng = np.random.default_rng(seed)
    every = []
    for task, level in enumerate(rng.normal(-2, 1.5, size=12)):
        before = [level - 0.1, level + 0.1]
        moved = [[b + 0.3 * rng.normal() for b in before] for _ in range(draws)]
        claimed = [b + slope * level + 0.3 * rng.normal() for b in before]
        items = TestItems(outcomes(before), (1, 1), (0.1, 0.1), (True, True), ("a", "b"), 0, False)
        every.append(
            SearchedNull(f"t{task}", items, found(-1, claimed),
                         tuple(found(n, after) for n, after in enumerate(moved)))
        )  # fmt: skip
    return every


def test_a_slope_beyond_the_placebos() -> None:
    every = nulls(-0.5)
    slope = claimed_slope(every, DOMAINS)
    assert slope is not None
    baseline = [np.mean(task.items.baseline.log_odds) for task in every]
    change = [
        np.mean(task.claim.after.log_odds) - b for task, b in zip(every, baseline, strict=True)
    ]
    assert slope.claim.slope == pytest.approx(baseline_slope(baseline, change, DOMAINS).slope)
    assert slope.claim.interval.high < 0
    assert slope.band.low < 0 < slope.band.high
    assert slope.band.p == pytest.approx(2 / 50)
    assert slope.band.draws == 49


def test_too_few_tasks_have_none() -> None:
    every = nulls(-0.5, draws=9)
    assert claimed_slope(every[:2], DOMAINS[:2]) is None
    assert claimed_slope([], []) is None
