"""Rows with answers, and what a plain pass says of them."""

from __future__ import annotations

from typing import Any

import torch

from sna_eval.intervention import Row
from tests.conftest import token_ids


def rows() -> list[Row]:
    """Contexts of different length, with answers of one to three tokens."""
    texts = [token_ids(1, width, seed=width)[0].tolist() for width in (9, 5, 7)]
    return [
        Row(tuple(text[:-length]), (tuple(text[-length:]),))
        for text, length in zip(texts, (1, 3, 2), strict=True)
    ]


@torch.no_grad()
def log_prob(model: Any, row: Row) -> float:
    """Log-probability of the answer, by a plain pass of this test's own."""
    (answer,) = row.branches
    tokens = torch.tensor([row.context + answer])
    log_probs = torch.log_softmax(model(tokens).logits[0].double(), dim=-1)
    start = len(row.context) - 1
    return float(sum(log_probs[start + place, token] for place, token in enumerate(answer)))
