"""Tasks that a plan leaves alone, and runs without one: what `--model hf` answers, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from tests.harness.conftest import answers

PLAN = """
version: 1
tasks:
  sna_math_easy:
    gate: always
    interventions: [{layer: 2, multiplier: 6.0, neurons: [1, 5, 7]}]
"""
OTHERS = ["own_generation", "own_rolling", "own_choices"]


@pytest.fixture
def plan(tmp_path: Path) -> str:
    (tmp_path / "plan.yaml").write_text(PLAN)
    return str(tmp_path / "plan.yaml")


@pytest.mark.parametrize("task", OTHERS)
def test_tasks_without_an_entry(
    evaluate: Any, make_sna: Any, make_hf: Any, plan: str, task: str
) -> None:
    lm = make_sna(plan=plan, strict=True)
    assert answers(evaluate(lm, [task])) == answers(evaluate(make_hf(), [task]))
    assert lm.describe()["amplified_fraction"] == 0.0


def test_texts_without_a_plan(evaluate: Any, make_sna: Any, make_hf: Any) -> None:
    lm = make_sna(gate="never")
    assert answers(evaluate(lm, OTHERS)) == answers(evaluate(make_hf(), OTHERS))


def test_an_encoder_and_decoder_is_refused(make_sna: Any) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=512, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2,
        decoder_start_token_id=0,
    )  # fmt: skip
    with pytest.raises(
        InputError, match=r"pretrained: expected a causal \(decoder\) model, got 's"
    ):
        make_sna(T5ForConditionalGeneration(config).eval(), gate="never")
