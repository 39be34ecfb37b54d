"""Half precision: amplified as plain hooks amplify, and what overflows keeps its baseline."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import VOCABULARY, build_model
from tests.devices.conftest import answers, numbers, scores, texts
from tests.devices.evaluate import evaluate

TASKS = ["sna_math_easy", "own_choices", "own_rolling", "own_generation"]
NEURONS = (1, 5, 7, 31)
INLINE = {"layer": 1, "neurons": ";".join(map(str, NEURONS)), "gate": "always"}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Any) -> Path:
    """A tiny model whose activations are large enough to overflow half precision when amplified."""
    folder = tmp_path_factory.mktemp("large")
    model = build_model("gpt2", n_positions=256, vocab_size=VOCABULARY)
    with torch.no_grad():
        for block in model.transformer.h:
            block.mlp.c_fc.weight.mul_(20)
    model.save_pretrained(folder)
    word_tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("decide_at", ["start", "every_step"])
def test_overflow_keeps_the_baseline(
    large: Path, job: Callable[..., Any], caplog: pytest.LogCaptureFixture, decide_at: str
) -> None:
    tasks = TASKS if decide_at == "start" else ["own_generation"]
    model = {"pretrained": str(large), "dtype": "float16", "decide_at": decide_at, **INLINE}
    with caplog.at_level(logging.WARNING):
        got = evaluate(job({**model, "multiplier": 1e4}, tasks))
        warnings = [
            message for message in caplog.messages if "overflowed when amplified" in message
        ]
    expected = evaluate(job({**model, "multiplier": 1e4, "gate": "never"}, tasks))
    assert got is not None
    assert expected is not None
    assert "nan" not in json.dumps(got["results"], default=str).lower()
    described = got["config"]["sna"]["tasks"]
    assert {name: described[name]["overflowed"] for name in tasks} == dict.fromkeys(tasks, 5)
    for key, values in answers(expected).items():
        assert numbers(answers(got)[key]) == numbers(values), key
        assert texts(answers(got)[key]) == texts(values), key
    assert len(warnings) == 1
    assert "float32" in warnings[0]


def test_the_same_multiplier_in_float32(large: Path, job: Callable[..., Any]) -> None:
    """The overflow comes from half precision, not from the test's model."""
    model = {"pretrained": str(large), "dtype": "float32", "multiplier": 1e4, **INLINE}
    got = evaluate(job(model, TASKS))
    assert got is not None
    assert {task["overflowed"] for task in got["config"]["sna"]["tasks"].values()} == {0}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_as_plain_hooks(dtype: str, saved: Callable[[str], Path]) -> None:
    """No further from float32 than plain hooks in the same precision, give or take their like."""
    from lm_eval.models.huggingface import HFLM

    from sna_eval.harness.lm import SNALM

    arguments = {"pretrained": str(saved("llama")), "device": "cpu", "softmax_dtype": "float32"}

    def hook(module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        changed = args[0].clone()
        changed[..., list(NEURONS)] *= 3.0
        return (changed, *args[1:])

    def plain(precision: str, *, hooked: bool = True) -> torch.Tensor:
        lm = HFLM(**arguments, dtype=precision, batch_size=8)
        if hooked:
            lm.model.model.layers[1].mlp.down_proj.register_forward_pre_hook(hook)
        return torch.tensor(scores(lm))

    exact, hooked = plain("float32"), plain(dtype)
    lm = SNALM(**arguments, dtype=dtype, batch_size=8, multiplier=3.0, **INLINE)
    amplified = torch.tensor(scores(lm))
    spread = (hooked - exact).abs().max()
    assert lm.engine.abilities.resumes
    assert (amplified - exact).abs().max() <= 2 * spread
    assert (plain("float32", hooked=False) - exact).abs().max() > 4 * spread, "the hook acts"
