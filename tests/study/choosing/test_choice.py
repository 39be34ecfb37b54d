"""The best configuration, and which of equals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sna_eval.errors import InputError
from sna_eval.study.choosing import TaskEffects, choose


def effects_of(*cases: tuple[dict[str, Any], list[float]]) -> TaskEffects:
    """Configurations with their effects on each item."""
    default = {"layer": 1, "n_neurons": 5, "multiplier": 2.0, "oracle": False}
    rows = tuple({**default, **row} for row, _ in cases)
    table = np.array([effects for _, effects in cases])
    return TaskEffects("t", "prob", rows, table, np.arange(table.shape[1]), len(rows))


def test_the_bound_prefers_the_steady_one() -> None:
    """A larger mean that rests on one item has the lower bound."""
    effects = effects_of(
        ({"layer": 3}, [0.0, 0.0, 0.0, 0.9]),
        ({"layer": 4}, [0.10, 0.12, 0.09, 0.11]),
    )
    steady = choose(effects)
    assert steady.row["layer"] == 4
    assert steady.gain == pytest.approx(0.105)
    assert steady.lower_bound is not None
    assert 0 < steady.lower_bound < steady.gain
    assert choose(effects, by="mean").row["layer"] == 3
    assert (steady.n_items, steady.among) == (4, 2)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"n_neurons": 3, "multiplier": 2.4}, {"n_neurons": 5, "multiplier": 1.1}),
        ({"multiplier": 1.2}, {"multiplier": 1.5}),
        ({"multiplier": 0.8}, {"multiplier": 1.5}),
        ({"layer": 2}, {"layer": 7}),
    ],
)
def test_ties_go_to_the_gentler(first: dict[str, Any], second: dict[str, Any]) -> None:
    same = [0.1, 0.3, 0.2]
    for order in ((first, second), (second, first)):
        chosen = choose(effects_of(*((row, same) for row in order))).row
        assert {key: chosen[key] for key in first} == first


def test_rounding_makes_no_difference() -> None:
    """Sums of the same numbers in another order differ in their last bits."""
    strong, gentle = {"n_neurons": 25}, {"n_neurons": 3}
    effects = effects_of((strong, [0.1, 0.2, 0.3]), (gentle, [0.3, 0.2, 0.1 - 1e-17]))
    assert choose(effects, by="mean").row["n_neurons"] == 3


def test_oracles_only_when_allowed() -> None:
    effects = effects_of(({"layer": 1, "oracle": True}, [0.9, 0.8]), ({"layer": 2}, [0.1, 0.2]))
    assert choose(effects).row["layer"] == 2
    assert choose(effects, allow_oracle=True).row["layer"] == 1
    only = effects_of(({"oracle": True}, [0.9, 0.8]))
    with pytest.raises(InputError, match=r"tasks\.t: expected a configuration that does not know"):
        choose(only)


def test_a_single_item_has_a_mean_alone() -> None:
    one = effects_of(({"layer": 1}, [0.1]), ({"layer": 2}, [0.2]))
    chosen = choose(one, by="mean")
    assert (chosen.row["layer"], chosen.lower_bound) == (2, None)
    with pytest.raises(InputError, match="two items or more"):
        choose(one)


def test_criteria_have_names() -> None:
    with pytest.raises(InputError, match="by: expected one of lower_bound, mean, got 'median'"):
        choose(effects_of(({}, [0.1, 0.2])), by="median")  # type: ignore[arg-type]
