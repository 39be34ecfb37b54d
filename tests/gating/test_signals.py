"""Confidence signals against hand-worked and independent values."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import entropy as scipy_entropy

from sna_eval.gating.signals.entropy import entropy
from sna_eval.gating.signals.margin import margin
from sna_eval.gating.signals.max_prob import max_prob
from sna_eval.gating.signals.target_prob import target_prob

PROBS = torch.tensor([[0.5, 0.3, 0.2], [0.98, 0.01, 0.01]])


def test_target_prob() -> None:
    assert target_prob(math.log(0.07)) == pytest.approx(0.07)


def test_margin_is_the_papers_for_two_labels() -> None:
    positive, negative = 0.002, 0.003
    expected = abs(positive - negative) / (positive + negative)
    assert margin([math.log(positive), math.log(negative)]) == pytest.approx(expected)


def test_margin_takes_the_two_largest() -> None:
    assert margin([math.log(p) for p in (0.1, 0.6, 0.3)]) == pytest.approx((0.6 - 0.3) / 0.9)


def test_margin_does_not_underflow() -> None:
    assert margin([-2000.0, -2001.0]) == pytest.approx((1 - math.exp(-1)) / (1 + math.exp(-1)))
    assert margin([-math.inf, -math.inf]) == 0.0
    assert margin([-1.0, -math.inf]) == 1.0


def test_margin_needs_two_labels() -> None:
    with pytest.raises(ValueError, match="at least two labels"):
        margin([-1.0])


def test_max_prob() -> None:
    torch.testing.assert_close(max_prob(PROBS.log()), torch.tensor([0.5, 0.98]))


def test_entropy_is_one_minus_the_normalized_entropy() -> None:
    expected = [1 - scipy_entropy(row) / math.log(3) for row in PROBS.double().numpy()]
    assert entropy(PROBS.double().log()).tolist() == pytest.approx(expected)


def test_entropy_at_its_ends() -> None:
    assert float(entropy(torch.full((8,), 1 / 8).log())) == pytest.approx(0.0, abs=1e-6)
    assert float(entropy(torch.tensor([1.0, 0.0, 0.0]).log())) == pytest.approx(1.0)
