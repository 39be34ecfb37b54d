"""Gated generation through lm_eval: once per request, and at every step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.gating import max_prob
from sna_eval.harness.values import GeneratedText
from sna_eval.intervention import Intervention, amplify
from tests.harness.conftest import answers

PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 6.0}
TASK = "own_generation"
NEW_TOKENS = 8


@torch.no_grad()
def stepwise(lm: Any, prompt: str, low: float) -> str:
    """Greedy decoding without cache; each step decided by the unmodified model."""
    ids = lm.tokenizer(prompt, return_tensors="pt").input_ids
    intervention = Intervention(2, (1, 5, 7), 6.0)
    start = ids.shape[1]
    for _ in range(NEW_TOKENS):
        logits = lm.model(ids).logits[0, -1]
        if float(max_prob(torch.log_softmax(logits, -1))) < low:
            with amplify(lm.model, [intervention]):
                logits = lm.model(ids).logits[0, -1]
        ids = torch.cat([ids, logits.argmax().view(1, 1)], dim=1)
        if ids[0, -1] == lm.tokenizer.eos_token_id:
            break
    return str(lm.tok_decode(ids[0, start:].tolist()))


def test_every_step_equals_stepwise_decoding(evaluate: Any, make_sna: Any) -> None:
    low = 0.05
    gate = {"gate": "max_prob", "low": low, "high": 1.0}
    lm = make_sna(decide_at="every_step", **PLAN, **gate)
    samples = evaluate(lm, [TASK])["samples"][TASK]
    for sample in samples:
        assert sample["resps"][0][0] == stepwise(lm, sample["doc"]["text"], low)
    assert any(isinstance(sample["resps"][0][0], GeneratedText) for sample in samples)


def test_always_is_the_same_at_the_start_and_at_every_step(evaluate: Any, make_sna: Any) -> None:
    runs = [
        answers(evaluate(make_sna(decide_at=when, gate="always", **PLAN), [TASK]))
        for when in ("start", "every_step")
    ]
    assert runs[0] == runs[1]


def test_strict_and_shared_prompt_passes_agree(evaluate: Any, make_sna: Any) -> None:
    gate = {"gate": "entropy", "low": 0.3, "high": 0.9}
    runs = [
        answers(evaluate(make_sna(strict=strict, **PLAN, **gate), [TASK]))
        for strict in (False, True)
    ]
    assert runs[0] == runs[1]


def test_decide_at_is_one_of_two(make_sna: Any) -> None:
    with pytest.raises(InputError, match="decide_at: expected start or every_step"):
        make_sna(decide_at="never", **PLAN)
