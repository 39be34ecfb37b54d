"""Gated generation through lm_eval: once per request, and at every step."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.gating import max_prob
from sna_eval.harness.values import GeneratedText
from sna_eval.intervention import Intervention, amplify
from tests.conftest import VOCABULARY
from tests.harness.conftest import answers

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from architectures.tiny import build, entries

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


def generated(lm: Any, *prompts: str) -> list[str]:
    from lm_eval.api.instance import Instance

    settings = {"until": ["zzz"], "max_gen_toks": NEW_TOKENS, "do_sample": False}
    requests = [
        Instance("generate_until", {}, (prompt, settings), 0, metadata=("own", number, 1))
        for number, prompt in enumerate(prompts)
    ]
    return [str(text) for text in lm.generate_until(requests, disable_tqdm=True)]


LAST = {"layer": 2, "neurons": ";".join(map(str, range(24))), "multiplier": 9.0}


@pytest.mark.parametrize("positions", ["last", "continuation"])
def test_a_prompt_of_one_token_is_a_prompt(make_sna: Any, positions: str) -> None:
    """Its pass looks like a decoded token's, which has no last prompt token."""
    lm = make_sna(**LAST, positions=positions, gate="always")
    assert len(lm.tok_encode("x")) == 1
    strict = make_sna(**LAST, positions=positions, gate="always", strict=True)
    plain = make_sna(**LAST, gate="never")
    assert generated(lm, "x") == generated(strict, "x") != generated(plain, "x")


@pytest.mark.parametrize("positions", ["all", "last", "continuation"])
def test_blocks_that_run_at_the_last_position_alone(make_sna: Any, positions: str) -> None:
    """Gemma 4's last blocks take earlier ones' keys, and read a prompt's last position alone."""
    entry = entries()["gemma4_text"]
    types = ["sliding_attention", *["full_attention"] * 3]
    changes = {"layer_types": types, "num_kv_shared_layers": 2, "eos_token_id": 0}
    sizes = dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), VOCABULARY)
    model = build(replace(entry, config={**entry.config, **changes, **sizes}))
    texts = ("the cat sat on a mat while rain", "x", "so on and so on")
    own = {**LAST, "layer": 3, "positions": positions, "gate": "always"}
    start, every = (make_sna(model, **own, decide_at=when) for when in ("start", "every_step"))
    plain = make_sna(model, **{**own, "gate": "never"})
    assert generated(start, *texts) == generated(every, *texts) != generated(plain, *texts)


@pytest.mark.parametrize("positions", ["all", "last", "continuation"])
def test_models_that_read_the_whole_text_at_every_step(make_sna: Any, positions: str) -> None:
    """The first GPT keeps no keys and values; it knows no padding either, so one text at a time."""
    entry = entries()["openai-gpt"]
    model = build(replace(entry, config={**entry.config, "vocab_size": VOCABULARY}))
    own = {**LAST, "positions": positions, "gate": "always", "batch_size": 1}
    start, every = (make_sna(model, **own, decide_at=when) for when in ("start", "every_step"))
    plain = make_sna(model, **{**own, "gate": "never"})
    texts = ("the cat sat on a mat", "x")
    assert generated(start, *texts) == generated(every, *texts) != generated(plain, *texts)


def test_decide_at_is_one_of_two(make_sna: Any) -> None:
    with pytest.raises(InputError, match="decide_at: expected start or every_step"):
        make_sna(decide_at="never", **PLAN)


def test_a_generated_text_has_no_target_to_look_at(evaluate: Any, make_sna: Any) -> None:
    with pytest.raises(InputError, match=r"gate\.signal: expected `max_prob`.*got 'target_prob'"):
        evaluate(make_sna(gate="target_prob", **PLAN), [TASK], limit=1)
