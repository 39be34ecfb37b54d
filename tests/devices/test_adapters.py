"""A base model with a PEFT adapter, and a quantized one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.harness.loading import load_lm
from tests.devices.conftest import assert_same_answers, scores
from tests.devices.evaluate import evaluate

TASKS = ["sna_math_easy", "own_choices", "own_generation"]
PLAN = {"layer": 1, "top_k": 5, "multiplier": 3.0, "gate": "always"}


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        pytest.param("gpt2", ["c_fc", "c_proj"], marks=pytest.mark.slow),
        ("llama", ["down_proj", "q_proj"]),
    ],
)
def test_lora_adapter(
    name: str,
    targets: list[str],
    saved: Callable[[str], Path],
    job: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """`peft=` answers as the same adapter merged into the weights; the projection is adapted."""
    merged = _adapter(saved(name), targets, tmp_path)
    base = {"pretrained": str(saved(name)), **PLAN}
    got = evaluate(job({**base, "peft": str(tmp_path / "adapter")}, TASKS))
    expected = evaluate(job({**base, "pretrained": str(merged)}, TASKS))
    without = evaluate(job(base, TASKS))
    assert got is not None
    assert expected is not None
    assert without is not None
    assert_same_answers(got, expected, rel=2e-6)  # merged weights are rounded themselves
    neurons = [_neurons(results) for results in (got, expected, without)]
    assert neurons[0] == neurons[1] != neurons[2], "neurons are found in the adapted model"
    sna = got["config"]["sna"]
    assert sna["model_hash"] != without["config"]["sna"]["model_hash"]
    (entry,) = sna["tasks"]["own_choices"]["interventions"]
    assert entry["found"]["model_hash"] == sna["model_hash"]
    assert not sna["found_on_another_model"]


def _adapter(folder: Path, targets: list[str], where: Path) -> Path:
    """Saves a random LoRA adapter, and the model with it merged in."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    config = LoraConfig(r=4, target_modules=targets, fan_in_fan_out="c_fc" in targets)
    torch.manual_seed(1)
    adapted = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.3)
    adapted.save_pretrained(where / "adapter")
    adapted.merge_and_unload().save_pretrained(where / "merged")
    AutoTokenizer.from_pretrained(folder).save_pretrained(where / "merged")
    return where / "merged"


def _neurons(results: Any) -> Any:
    (entry,) = results["config"]["sna"]["tasks"]["sna_math_easy"]["interventions"]
    return entry["neurons"]


def test_quantized_weights(saved: Callable[[str], Path], word_tokenizer: Any) -> None:
    """Eight-bit weights: amplified as plain hooks on the same quantized model amplify."""
    pytest.importorskip("torchao")
    from lm_eval.models.huggingface import HFLM
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import AutoModelForCausalLM, TorchAoConfig

    from sna_eval.harness.lm import SNALM

    def load() -> Any:
        config = TorchAoConfig(Int8WeightOnlyConfig())
        return AutoModelForCausalLM.from_pretrained(
            saved("llama"), quantization_config=config, dtype=torch.float32
        )

    def hook(module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        changed = args[0].clone()
        changed[..., [1, 5]] *= 3.0
        return (changed, *args[1:])

    plain = HFLM(load(), tokenizer=word_tokenizer, batch_size=4)
    before = scores(plain)
    plain.model.model.layers[1].mlp.down_proj.register_forward_pre_hook(hook)
    lm = SNALM(
        load(), tokenizer=word_tokenizer, batch_size=4,
        layer=1, neurons="1;5", multiplier=3.0, gate="always",
    )  # fmt: skip
    assert scores(lm) == pytest.approx(scores(plain), abs=1e-5)
    assert scores(plain) != pytest.approx(before, abs=1e-2), "the hook acts"
    assert lm.engine.abilities.resumes
    whole = load_lm({"pretrained": str(saved("llama")), **PLAN})
    assert lm.model_hash != whole.model_hash
