"""Selections from activation means, worked by hand."""

from __future__ import annotations

import pytest
import torch

from sna_eval.neurons import Selected, contrastive, differential, neutral_sentences, overlap
from sna_eval.neurons.ranking import largest, smallest

TASK = torch.tensor([1.0, 5.0, 2.0, 2.0, 0.0, 9.0])
NEUTRAL = torch.tensor([1.0, 1.0, 1.0, 1.0, 3.0, 9.5])


def test_differential_takes_the_largest_positive_differences() -> None:
    assert differential(TASK, NEUTRAL, top_k=2) == Selected((1, 2), (4.0, 1.0))


def test_differential_never_takes_what_responds_less() -> None:
    assert differential(TASK, NEUTRAL, top_k=6).neurons == (1, 2, 3)


def test_contrastive_sets_are_disjoint() -> None:
    first, second = contrastive(TASK, NEUTRAL, top_k=3)
    assert first == Selected((1, 2, 3), (4.0, 1.0, 1.0))
    assert second == Selected((4, 5, 0), (3.0, 0.5, -0.0))
    assert not set(first.neurons) & set(second.neurons)


def test_contrastive_sets_must_fit() -> None:
    with pytest.raises(ValueError, match="two disjoint sets of 4 do not fit into 6"):
        contrastive(TASK, NEUTRAL, top_k=4)


def test_overlap() -> None:
    first, second = Selected((1, 2, 3, 4), (0.0,) * 4), Selected((3, 4, 5, 6), (0.0,) * 4)
    assert overlap(first, second) == 0.5
    assert overlap(Selected((), ()), Selected((), ())) == 0.0


def test_neutral_sentences() -> None:
    assert len(neutral_sentences()) >= 100


def test_both_ends_of_an_order() -> None:
    scores = torch.tensor([0.5, -2.0, 3.0, -0.25])
    assert largest(scores, 3, positive_only=False) == Selected((2, 0, 3), (3.0, 0.5, -0.25))
    assert smallest(scores, 2) == Selected((1, 3), (-2.0, -0.25))
