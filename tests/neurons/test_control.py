"""Random neurons: matched, apart from the chosen ones, reproducible, nested."""

from __future__ import annotations

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.neurons import Selected, matched_random

CHOSEN = Selected((10, 60, 110), (3.0, 2.0, 1.0))
"""Among 200 neurons that push 0.0, 0.1, ... 19.9."""
PUSH = torch.arange(200) / 10


def test_draws_from_the_nearest_in_push() -> None:
    for seed in range(50):
        drawn = matched_random(PUSH, CHOSEN, seed=seed, candidates=6)
        for control, chosen in zip(drawn.neurons, CHOSEN.neurons, strict=True):
            assert control in {
                chosen - 3,
                chosen - 2,
                chosen - 1,
                chosen + 1,
                chosen + 2,
                chosen + 3,
            }
        assert drawn.scores == tuple(float(PUSH[neuron]) for neuron in drawn.neurons)


def test_every_candidate_comes_up() -> None:
    drawn = {
        matched_random(PUSH, CHOSEN, seed=seed, candidates=6).neurons[0] for seed in range(200)
    }
    assert drawn == {7, 8, 9, 11, 12, 13}


def test_neither_chosen_nor_twice() -> None:
    chosen = Selected(tuple(range(0, 40, 2)), (0.0,) * 20)
    drawn = matched_random(torch.zeros(40), chosen, seed=3)
    assert sorted(drawn.neurons) == list(range(1, 40, 2))


def test_a_seed_gives_the_same_draw() -> None:
    assert matched_random(PUSH, CHOSEN, seed=1) == matched_random(PUSH, CHOSEN, seed=1)
    assert matched_random(PUSH, CHOSEN, seed=1) != matched_random(PUSH, CHOSEN, seed=2)


def test_needs_room() -> None:
    with pytest.raises(
        InputError, match="top_k: expected at most 2 neurons, to draw as many again"
    ):
        matched_random(torch.zeros(5), CHOSEN, seed=0)
