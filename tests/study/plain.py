"""What a model says by one plain pass, for tests to hold results against."""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def target_prob(lm: Any, context: str, continuation: str) -> float:
    """Probability of a continuation by one plain pass, tokens and sums this test's own."""
    whole = lm.tokenizer(context + continuation)["input_ids"]
    length = len(lm.tokenizer(context)["input_ids"])
    log_probs = torch.log_softmax(lm.model(torch.tensor([whole])).logits[0].double(), dim=-1)
    places = range(length, len(whole))
    return float(sum(log_probs[place - 1, whole[place]] for place in places).exp())
