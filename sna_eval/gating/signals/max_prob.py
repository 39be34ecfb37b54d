"""How likely the likeliest next token is. Does not look at the right answer."""

from __future__ import annotations

import torch

from sna_eval.gating.signal import NextTokenSignal


def max_prob(log_probs: torch.Tensor) -> torch.Tensor:
    """Probability of the most likely next token.

    **Arguments:** `log_probs`: `[..., vocabulary]`. **Returns:** `[...]`.
    """
    return log_probs.max(dim=-1).values.exp()


SIGNAL = NextTokenSignal(
    name="max_prob",
    words="probability of the likeliest next token",
    low=0.30,  # the margin's: the paper has none
    high=0.60,
    measure=max_prob,
    likeliest=True,
    usual=True,
)
