"""How far the next token's distribution is from uniform. Does not look at the right answer."""

from __future__ import annotations

import math

import torch

from sna_eval.gating.signal import NextTokenSignal


def entropy(log_probs: torch.Tensor) -> torch.Tensor:
    """`1 - H / log V` of the next-token distribution: 0 where uniform, 1 where certain.

    **Arguments:** `log_probs`: `[..., vocabulary]`. **Returns:** `[...]`.
    """
    summands = torch.where(log_probs.isinf(), 0.0, log_probs.exp() * log_probs)
    return 1 + summands.sum(dim=-1) / math.log(log_probs.shape[-1])


SIGNAL = NextTokenSignal(
    name="entropy",
    words="1 - entropy of the next token",
    low=0.30,  # the margin's: the paper has none
    high=0.60,
    measure=entropy,
)
