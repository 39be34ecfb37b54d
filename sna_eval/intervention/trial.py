"""Short random texts that ways of running a model are tried on."""

from __future__ import annotations

import torch
from torch import nn

from sna_eval.intervention.rows import Row


def trial_rows(model: nn.Module) -> list[Row]:
    """Two rows of different length, one with a continuation of two tokens."""
    config = getattr(model.config, "text_config", model.config)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(1, int(config.vocab_size), (16,), generator=generator)  # type: ignore[arg-type, union-attr]
    tokens = tuple(int(token) for token in drawn)
    return [Row(tokens[:8], (tokens[8:10],)), Row(tokens[10:15], (tokens[15:],))]
