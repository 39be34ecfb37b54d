"""Short random texts that ways of running a model are tried on."""

from __future__ import annotations

import torch
from torch import nn

from sna_eval.intervention.decoder import text_config
from sna_eval.intervention.rows import Row, Tokens


def trial_tokens(model: nn.Module, count: int) -> Tokens:
    """Random tokens of a model's vocabulary, the same at every call."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(1, int(text_config(model).vocab_size), (count,), generator=generator)
    return tuple(int(token) for token in drawn)


def trial_rows(model: nn.Module) -> list[Row]:
    """Two rows of different length, one with a continuation of two tokens."""
    tokens = trial_tokens(model, 16)
    return [Row(tokens[:8], (tokens[8:10],)), Row(tokens[10:15], (tokens[15:],))]
