"""A ranking's grid in cumulative sums, and what of it is measured."""

from __future__ import annotations

import numpy as np
import pytest

from sna_eval.measuring.grid import Grid
from sna_eval.neurons import Selected
from sna_eval.study.nulls.shortlist import measured_multipliers, shortlist

SLOPES = {0: np.array([0.5, -1.0, 0.1, 0.0]), 1: np.array([0.2, 0.3, 0.0, -0.4])}
RANKING = {layer: {"": Selected((0, 1, 2, 3), (4.0, 3.0, 2.0, 1.0))} for layer in (0, 1)}


def test_by_hand() -> None:
    grid = Grid((0, 1), (1, 2, 3), (1.5, 2.0))
    found = shortlist(grid, RANKING, SLOPES, size=4)
    # sums: layer 0 is .5, -.5, -.4; layer 1 is .2, .5, .5
    told = [
        (
            candidate.layer,
            candidate.n_neurons,
            candidate.multiplier,
            candidate.level,
            candidate.place,
        )
        for candidate in found
    ]
    assert told == [
        (0, 1, 1.5, 0, 0), (1, 2, 1.5, 0, 1), (0, 1, 2.0, 1, 0), (1, 2, 2.0, 1, 1)
    ]  # fmt: skip
    assert [candidate.predicted for candidate in found] == pytest.approx([0.25, 0.25, 0.5, 0.5])
    assert found[1].intervention.neurons == (0, 1)


def test_below_one_the_other_end_promises_most() -> None:
    (found,) = shortlist(Grid((0, 1), (1, 2), (0.5,)), RANKING, SLOPES, size=1)
    assert (found.layer, found.n_neurons) == (0, 2)
    assert found.predicted == pytest.approx(0.25)


def test_labels_add_up() -> None:
    apart = {0: {"a": Selected((0,), (1.0,)), "b": Selected((2, 1), (1.0, 0.5))}}
    found = shortlist(Grid((0,), (1, 2), (2.0,)), apart, SLOPES, size=1)
    assert found[0].neurons == {"a": (0,), "b": (2,)}
    assert found[0].predicted == pytest.approx(0.6)


def test_several_multipliers_are_measured() -> None:
    grid = Grid((0,))
    assert measured_multipliers(grid, 6) == (1.6, 2.4)
    assert measured_multipliers(grid, 1) == (2.4,)
    assert len(shortlist(Grid((0, 1)), RANKING, SLOPES, size=4)) == 4
