"""Attention heads as units: against plain hooks, folded weights and TransformerLens, to 1e-5."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.intervention import (
    Assigned,
    Batch,
    Engine,
    Intervention,
    Row,
    Sites,
    amplify,
    find_sites,
    probe,
)
from sna_eval.intervention.verification import scaled_weights
from tests.conftest import CONFIGS, build_model, token_ids

CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 0}
LAYER, HEADS, WIDTH, FACTOR = 2, (3, 1), 8, 2.5
ATTENTION = {
    "gpt2": "transformer.h.2.attn.c_proj",
    "gpt_neox": "gpt_neox.layers.2.attention.dense",
    "llama": "model.layers.2.self_attn.o_proj",
    "mistral": "model.layers.2.self_attn.o_proj",
    "qwen2": "model.layers.2.self_attn.o_proj",
    "gemma2": "model.layers.2.self_attn.o_proj",
    "gemma3_text": "model.layers.2.self_attn.o_proj",
    "phi": "model.layers.2.self_attn.dense",
    "opt": "model.decoder.layers.2.self_attn.out_proj",
}
"""Where each architecture's heads come together, written down here."""
ON_HEADS = Intervention(LAYER, HEADS, FACTOR, unit="head")


@pytest.fixture(scope="module", params=[*CONFIGS, "gemma3_text"])
def model(request: pytest.FixtureRequest) -> Any:
    return build_model(request.param)


@pytest.fixture(scope="module")
def sites(model: Any) -> Sites:
    return find_sites(model)


def log_probs(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return torch.log_softmax(model(token_ids(3, 14)).logits, -1)


def amplified(model: Any) -> torch.Tensor:
    with amplify(model, [ON_HEADS]):
        return log_probs(model)


def test_heads_are_found(model: Any, sites: Sites) -> None:
    heads = sites.of("head")
    assert (heads.n_units, heads.channels, heads.layers) == (4, WIDTH, (0, 1, 2, 3))
    name = ATTENTION[model.config.model_type]
    assert heads.projections[LAYER] is model.get_submodule(name)
    assert name.endswith(heads.projection_path)
    assert heads.of("mlp") is sites
    assert sites.of("mlp") is sites


def test_equals_a_plain_hook(model: Any) -> None:
    def scale(module: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        by_head = args[0].clone().unflatten(-1, (4, WIDTH))
        by_head[..., list(HEADS), :] *= FACTOR
        return (by_head.flatten(-2),)

    projection = model.get_submodule(ATTENTION[model.config.model_type])
    handle = projection.register_forward_pre_hook(scale)
    try:
        expected = log_probs(model)
    finally:
        handle.remove()
    torch.testing.assert_close(amplified(model), expected, **CLOSE)
    assert (expected - log_probs(model)).abs().max() > 1e-2


def test_equals_folded_weights(model: Any, sites: Sites) -> None:
    folded = copy.deepcopy(model)
    projection = folded.get_submodule(ATTENTION[model.config.model_type])
    conv1d = type(projection).__name__ == "Conv1D"  # [in, out]
    inputs = projection.weight.data if conv1d else projection.weight.data.t()
    for head in HEADS:
        inputs[head * WIDTH : (head + 1) * WIDTH] *= FACTOR
    torch.testing.assert_close(amplified(model), log_probs(folded), **CLOSE)
    before = log_probs(model)
    with scaled_weights(sites, ON_HEADS):
        torch.testing.assert_close(
            amplified(folded) * 0 + log_probs(model), log_probs(folded), **CLOSE
        )
    assert torch.equal(log_probs(model), before)


def test_equals_a_transformer_lens_hook(model: Any, word_tokenizer: Any) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    original = copy.deepcopy(model)
    original.config.architectures = [type(model).__name__]
    bridge = TransformerBridge.boot_transformers(
        "tiny", hf_model=original, tokenizer=word_tokenizer, device="cpu"
    )

    def scale(z: torch.Tensor, hook: Any) -> torch.Tensor:
        by_head = z.reshape(*z.shape[:2], 4, WIDTH).clone()
        by_head[..., list(HEADS), :] *= FACTOR
        return by_head.reshape(z.shape)

    with torch.no_grad():
        logits = bridge.run_with_hooks(
            token_ids(3, 14), fwd_hooks=[(f"blocks.{LAYER}.attn.hook_z", scale)]
        )
    torch.testing.assert_close(amplified(model), torch.log_softmax(logits, -1), **CLOSE)


def test_a_resumed_pass_equals_a_plain_one(model: Any, sites: Sites) -> None:
    engine = Engine(model, sites, probe(model, sites))
    tokens = tuple(token_ids(1, 12)[0].tolist())
    batch = Batch([Row(tokens[:8], (tokens[8:10],)), Row(tokens[:5], (tokens[5:6],))], "cpu")
    _, captured = engine.run(batch, capture=[LAYER])
    assigned = [Assigned(ON_HEADS, torch.tensor([True, False]))]
    scores = engine.amplified(batch, assigned, hidden=captured[LAYER])
    with torch.no_grad(), amplify(model, [ON_HEADS]):
        plain = torch.log_softmax(model(torch.tensor([tokens[:9]])).logits, -1)[0]
    expected = float(plain[7, tokens[8]] + plain[8, tokens[9]])
    assert scores[0].branches[0].log_likelihood == pytest.approx(expected, abs=1e-5)
    untouched, _ = engine.run(batch)
    assert scores[1].branches[0].log_likelihood == pytest.approx(
        untouched[1].branches[0].log_likelihood, abs=1e-5
    )


def test_identities_hold_to_the_bit(model: Any) -> None:
    plain = log_probs(model)
    for nothing in (
        Intervention(LAYER, HEADS, 1.0, unit="head"),
        Intervention(LAYER, (), 3.0, unit="head"),
    ):
        with amplify(model, [nothing]):
            assert torch.equal(log_probs(model), plain)
    with pytest.raises(RuntimeError), amplify(model, [ON_HEADS]):
        raise RuntimeError
    assert torch.equal(log_probs(model), plain)


def test_a_head_that_is_not_there() -> None:
    model = build_model("llama")
    with (
        pytest.raises(InputError, match=r"heads from 0 to 3 \(LlamaForCausalLM\), got 4"),
        amplify(model, [Intervention(LAYER, (4,), 2.0, unit="head")]),
    ):
        pass
    with pytest.raises(InputError, match="unit: expected one of mlp, head, feature, got 'neuron'"):
        Intervention(LAYER, (0,), 2.0, unit="neuron")  # type: ignore[arg-type]
