"""Confidence signals: numbers in [0, 1] read off the unmodified model.

`margin`, `max_prob` and `entropy` never look at the right answer. `target_prob` does, so a gate on
it knows what a deployed model could not know; results say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


def target_prob(log_likelihood: float) -> float:
    """`exp` of the log-likelihood of the whole right continuation."""
    return math.exp(log_likelihood)


def margin(log_likelihoods: Sequence[float]) -> float:
    """`(p1 - p2) / (p1 + p2)` of the two most likely labels.

    For two labels this is the paper's `|P(pos) - P(neg)| / (P(pos) + P(neg))` (Akhtar 2026, 6.1).
    Computed as `tanh((l1 - l2) / 2)`, which is the same number and does not underflow for long
    labels.
    """
    if len(log_likelihoods) < 2:
        raise ValueError("a margin needs at least two labels")
    first, second = sorted(log_likelihoods, reverse=True)[:2]
    if first == second or math.isinf(first):
        return 0.0
    return math.tanh((first - second) / 2)


def max_prob(log_probs: torch.Tensor) -> torch.Tensor:
    """Probability of the most likely next token.

    **Arguments:** `log_probs`: `[..., vocabulary]`. **Returns:** `[...]`.
    """
    return log_probs.max(dim=-1).values.exp()


def entropy(log_probs: torch.Tensor) -> torch.Tensor:
    """`1 - H / log V` of the next-token distribution: 0 where uniform, 1 where certain.

    **Arguments:** `log_probs`: `[..., vocabulary]`. **Returns:** `[...]`.
    """
    summands = torch.where(log_probs.isinf(), 0.0, log_probs.exp() * log_probs)
    return 1 + summands.sum(dim=-1) / math.log(log_probs.shape[-1])
