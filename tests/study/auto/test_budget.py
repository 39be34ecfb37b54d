"""Budgets, and the grids they pay for, against counts by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.tasks.plan_makers import Budget, PlanMakerOptions
from sna_eval.measuring.grid import LABEL_COUNTS, LABEL_MULTIPLIERS, Grid
from sna_eval.measuring.items import spread_over
from sna_eval.study.auto import Affordable, affordable, small_grid
from sna_eval.study.auto.affordable import share_out
from sna_eval.study.sweep import SweepOptions


@pytest.mark.parametrize(
    ("value", "budget"),
    [(40, Budget(40)), ("120s", Budget(seconds=120.0)), (" 2.5 S ", Budget(seconds=2.5))],
)
def test_budgets(value: Any, budget: Budget) -> None:
    assert Budget.parse(value) == budget


@pytest.mark.parametrize("value", [0, -3, 1.5, "0s", "-2s", "2m", "many", True, None])
def test_impossible_budgets(value: Any) -> None:
    with pytest.raises(InputError, match="auto_budget: expected a number of configurations"):
        Budget.parse(value)


def test_arguments_beside_auto() -> None:
    asked = PlanMakerOptions.take({"plan": "auto", "gate": "entropy", "low": 0.2}, "9s")
    assert asked == PlanMakerOptions("auto", Budget(seconds=9.0), {"gate": "entropy", "low": 0.2})
    assert PlanMakerOptions.take({"plan": "auto"}) == PlanMakerOptions("auto", Budget(200), {})
    assert PlanMakerOptions.take({"plan": "sna-reference"}) is None
    with pytest.raises(InputError, match="auto_budget: expected plan=auto beside it, got '9s'"):
        PlanMakerOptions.take({"plan": "sna-reference"}, "9s")
    with pytest.raises(InputError, match="layer: expected no such argument beside plan=auto"):
        PlanMakerOptions.take({"plan": "auto", "layer": 3})


@pytest.mark.parametrize("layers", [1, 3, 12, 24])
def test_grids_fit_their_budget(layers: int) -> None:
    full = Grid(tuple(range(layers)))
    sizes = []
    for budget in (1, 2, 3, 4, 7, 11, 12, 50, 200, 500, 1000, len(full), 10_000):
        thinned = small_grid(full, budget)
        assert 1 <= len(thinned) <= budget
        assert set(thinned.layers) <= set(full.layers)
        assert set(thinned.n_neurons) <= set(full.n_neurons)
        assert set(thinned.multipliers) <= set(full.multipliers)
        if budget >= 4 * layers:
            assert thinned.layers == full.layers
        sizes.append(len(thinned))
    assert sizes == sorted(sizes)
    assert small_grid(full, len(full)) == full


def test_directions_count_too() -> None:
    full = Grid((0, 1), LABEL_COUNTS, LABEL_MULTIPLIERS, ("both", "predicted"))
    assert len(small_grid(full, 16)) == 16
    assert small_grid(full, 1000) == full


def test_a_few_of_many_are_spread_evenly() -> None:
    assert spread_over("abcdefghi", 3) == ["b", "e", "h"]
    assert spread_over("abc", 7) == ["a", "b", "c"]
    for length, count in product(range(1, 12), range(1, 12)):
        spread = spread_over(range(length), count)
        assert len(set(spread)) == min(length, count)


@pytest.mark.parametrize(
    ("measurements", "expected"),
    [
        (100 * 50, Affordable(50, 100)),
        (100 * 16, Affordable(16, 100)),
        (16 * 40, Affordable(16, 40)),  # too few for 16 on 100 items
        (24 * 5, Affordable(5, 24)),  # fewer items would say nothing
        (3, Affordable(1, 24)),
        (300 * 250, Affordable(300, 250)),  # more than the grid: items
        (300 * 9000, Affordable(300, 400)),
    ],
)
def test_sharing_out(measurements: float, expected: Affordable) -> None:
    assert share_out(measurements, items=100, most=300) == expected


def test_seconds_are_measured(
    sweep_of: Callable[..., Any],
    lm: Any,
    load: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More time pays for more, up to the full grid; a moment for one configuration."""
    monkeypatch.setattr("sna_eval.study.sweep.cost._TRIAL_SECONDS", 0.05)
    (task,) = load("own_open").values()
    options = SweepOptions(tasks=("own_open",), layers=(0, 1))

    def found(seconds: float) -> Affordable:
        return affordable(Budget(seconds=seconds), options, lm, "own_open", task)

    assert found(0.001).configurations == 1
    assert found(1e6) == Affordable(2 * 84, 400)
    assert affordable(Budget(30), options, lm, "own_open", task) == Affordable(30, 100)
