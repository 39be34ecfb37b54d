"""Grids against the numbers of the paper, and what users type."""

from __future__ import annotations

import pytest

from sna_eval.argument_lists import parse_counts, parse_layers, parse_names, parse_numbers
from sna_eval.errors import InputError
from sna_eval.intervention import find_sites
from sna_eval.measuring.grid import (
    LABEL_COUNTS,
    LABEL_MULTIPLIERS,
    Configuration,
    Grid,
    check_directions,
    label_layers,
)
from tests.conftest import build_model


def test_the_papers_grid_of_gpt2_medium() -> None:
    grid = Grid(tuple(range(24)))
    assert grid.per_layer == 84
    assert len(grid) == 2016
    assert 12 * len(grid) == 24_192
    assert min(grid.multipliers) == 1.1
    assert max(grid.multipliers) == 2.4


def test_sixty_configurations_for_labels() -> None:
    grid = Grid(label_layers(24), LABEL_COUNTS, LABEL_MULTIPLIERS)
    assert len(grid) == 60
    assert 21 in grid.layers
    assert 10 in grid.n_neurons
    assert 12.0 in grid.multipliers


@pytest.mark.parametrize(("n_layers", "layers"), [(12, (2, 4, 6, 8, 10)), (3, (0, 1, 2))])
def test_label_layers_of_other_depths(n_layers: int, layers: tuple[int, ...]) -> None:
    assert label_layers(n_layers) == layers


def test_order_of_configurations() -> None:
    grid = Grid((0, 7), (1, 2), (1.5, 2.0), ("both", "x"))
    assert grid.at(7)[1] == Configuration(7, 1, 2.0, "both")
    assert grid.at(7)[2] == Configuration(7, 2, 1.5, "both")
    assert grid.at(7)[4] == Configuration(7, 1, 1.5, "x")
    assert len(grid.at(0)) == grid.per_layer == len(grid) / 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_neurons": (0,)}, "n_neurons: expected counts of at least 1, got 0"),
        ({"multipliers": (float("nan"),)}, "multipliers: expected finite numbers, got nan"),
        ({"multipliers": (2.0, 2.0)}, "multipliers: expected one or more distinct values"),
        ({"directions": ()}, "directions: expected one or more distinct values"),
    ],
)
def test_impossible_grids(values: dict[str, tuple[object, ...]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Grid(**{"layers": (0,), **values})  # type: ignore[arg-type]


def test_a_grid_must_fit_the_model() -> None:
    sites = find_sites(build_model("gpt2"))
    with pytest.raises(InputError, match="layers: expected a layer from 0 to 3"):
        Grid((2, 4)).check(sites)
    with pytest.raises(InputError, match=r"n_neurons: expected at most 128, .* got 500"):
        Grid((2,), (500,)).check(sites)


def test_directions_need_labels() -> None:
    check_directions(["both", "predicted", "good"], ["good", "bad"], allow_oracle=False)
    check_directions(["gold"], ["good", "bad"], allow_oracle=True)
    with pytest.raises(InputError, match="directions: expected among both, predicted, gold, good"):
        check_directions(["ugly"], ["good", "bad"], allow_oracle=False)
    with pytest.raises(InputError, match="belong to no label; use select=contrastive"):
        check_directions(["predicted"], [], allow_oracle=False)
    with pytest.raises(InputError, match="add --allow_oracle"):
        check_directions(["gold"], ["good", "bad"], allow_oracle=False)


def test_lists_as_typed() -> None:
    assert parse_layers("0-2,7") == (0, 1, 2, 7)
    assert parse_layers("all") is None
    assert parse_layers(None) is None
    assert parse_counts("3,5") == (3, 5)
    assert parse_numbers("multipliers", "1.5, 2") == (1.5, 2.0)
    assert parse_names("both, predicted,,") == ("both", "predicted")
    assert parse_names(None) is parse_counts(None) is parse_numbers("multipliers", None) is None


def test_lists_that_are_none() -> None:
    with pytest.raises(InputError, match="layers: expected layers such as 0-7 or 2,5,8-10"):
        parse_layers("0-x")
    with pytest.raises(InputError, match="layers: expected layers such as 0-7 or 2,5,8-10"):
        parse_layers("2,7-3")
    with pytest.raises(InputError, match="top_k: expected counts such as 3,5,8"):
        parse_counts("3,five")
    with pytest.raises(InputError, match=r"multipliers: expected numbers such as 1\.5,2,4"):
        parse_numbers("multipliers", "big")
