"""Amplification against its oracles: plain hooks, folded weights, IA3, TransformerLens."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.intervention import Intervention, Sites, amplify, find_sites
from tests.conftest import CONFIGS, build_model, token_ids

NEURONS = (1, 5, 7)
LAYER = 2
FACTOR = 3.0
CLOSE = {"atol": 1e-5, "rtol": 0}
"""The contract's tolerance on log-probabilities in float32."""


@pytest.fixture(scope="module", params=CONFIGS)
def model(request: pytest.FixtureRequest) -> Any:
    return build_model(request.param)


@pytest.fixture(scope="module")
def sites(model: Any) -> Sites:
    return find_sites(model)


@torch.no_grad()
def log_probs(model: Any) -> torch.Tensor:
    return torch.log_softmax(model(token_ids(3, 14)).logits, -1)


def amplified(model: Any, *, multiplier: float = FACTOR) -> torch.Tensor:
    with amplify(model, [Intervention(LAYER, NEURONS, multiplier)]):
        return log_probs(model)


def is_conv1d(module: Any) -> bool:
    return type(module).__name__ == "Conv1D"


def test_equals_folded_weights(model: Any, sites: Sites) -> None:
    folded = copy.deepcopy(model)
    projection = find_sites(folded).projections[LAYER]
    with torch.no_grad():
        weight: Any = projection.weight
        columns = weight if is_conv1d(projection) else weight.T
        columns[list(NEURONS)] *= FACTOR
    torch.testing.assert_close(amplified(model), log_probs(folded), **CLOSE)


def test_equals_a_plain_hook(model: Any, sites: Sites) -> None:
    def scale(module: Any, args: Any) -> Any:
        scaled = args[0].clone()
        scaled[..., list(NEURONS)] *= FACTOR
        return (scaled,)

    handle = sites.projections[LAYER].register_forward_pre_hook(scale)
    plain = log_probs(model)
    handle.remove()
    torch.testing.assert_close(amplified(model), plain, **CLOSE)
    assert (plain - log_probs(model)).abs().max() > 1e-3  # the intervention does something


def test_equals_an_ia3_adapter(model: Any, sites: Sites) -> None:
    from peft import IA3Config, get_peft_model

    suffix = sites.projection_path
    target = f"{sites.block_path}.{LAYER}.{suffix}"
    config = IA3Config(
        target_modules=[target],
        feedforward_modules=[target],
        fan_in_fan_out=is_conv1d(sites.projections[LAYER]),
        init_ia3_weights=True,
    )
    adapted = get_peft_model(copy.deepcopy(model), config)
    (vector,) = [value for name, value in adapted.named_parameters() if "ia3_l" in name]
    with torch.no_grad():
        vector.view(-1)[list(NEURONS)] = FACTOR
    torch.testing.assert_close(amplified(model), log_probs(adapted), **CLOSE)


def test_equals_a_transformer_lens_hook(model: Any, sites: Sites, word_tokenizer: Any) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    original = copy.deepcopy(model)
    original.config.architectures = [type(model).__name__]
    bridge = TransformerBridge.boot_transformers(
        "tiny", hf_model=original, tokenizer=word_tokenizer, device="cpu"
    )

    def scale(activation: torch.Tensor, hook: Any) -> torch.Tensor:
        activation[..., list(NEURONS)] *= FACTOR
        return activation

    with torch.no_grad():
        logits = bridge.run_with_hooks(
            token_ids(3, 14), fwd_hooks=[(f"blocks.{LAYER}.mlp.out.hook_in", scale)]
        )
    torch.testing.assert_close(amplified(model), torch.log_softmax(logits, -1), **CLOSE)


def test_identities_hold_to_the_bit(model: Any) -> None:
    plain = log_probs(model)
    assert torch.equal(amplified(model, multiplier=1.0), plain)
    with amplify(model, [Intervention(LAYER, (), FACTOR)]):
        assert torch.equal(log_probs(model), plain)
    closed = torch.zeros(3, 1, dtype=torch.bool)
    with amplify(model, [Intervention(LAYER, NEURONS, FACTOR)], mask=lambda *_: closed):
        assert torch.equal(log_probs(model), plain)


def test_rows_act_alone(model: Any) -> None:
    rows = torch.tensor([[True], [False], [True]])
    with amplify(model, [Intervention(LAYER, NEURONS, FACTOR)], mask=lambda *_: rows):
        mixed = log_probs(model)
    expected = torch.where(rows.unsqueeze(-1), amplified(model), log_probs(model))
    torch.testing.assert_close(mixed, expected, **CLOSE)
    assert torch.equal(mixed[1], log_probs(model)[1])


class _Stop(Exception):
    pass


def test_nothing_stays_behind(model: Any, sites: Sites) -> None:
    plain = log_probs(model)
    with pytest.raises(_Stop), amplify(model, [Intervention(LAYER, NEURONS, FACTOR)]):
        raise _Stop
    with (
        pytest.raises(InputError, match="layer: expected a layer from 0 to 3"),
        amplify(model, [Intervention(LAYER, NEURONS), Intervention(9, NEURONS, 2.0)]),
    ):
        pass
    with (
        pytest.raises(InputError, match="neurons from 0 to"),
        amplify(model, [Intervention(LAYER, NEURONS, 2.0), Intervention(LAYER, (100_000,), 2.0)]),
    ):
        pass
    assert not any(projection._forward_pre_hooks for projection in sites.projections)
    assert torch.equal(log_probs(model), plain)


def test_several_layers_at_once(model: Any, sites: Sites) -> None:
    both = [Intervention(1, (0, 2), 2.0), Intervention(3, (4,), 0.5)]
    folded = copy.deepcopy(model)
    for intervention in both:
        projection = find_sites(folded).projections[intervention.layer]
        with torch.no_grad():
            weight: Any = projection.weight
            columns = weight if is_conv1d(projection) else weight.T
            columns[list(intervention.neurons)] *= intervention.multiplier
    with amplify(model, both):
        torch.testing.assert_close(log_probs(model), log_probs(folded), **CLOSE)


def test_positions_need_a_mask() -> None:
    with (
        pytest.raises(ValueError, match="need a `mask`"),
        amplify(build_model("gpt2"), [Intervention(0, (1,), 2.0, "last")]),
    ):
        pass


@pytest.mark.parametrize("multiplier", [float("nan"), float("inf")])
def test_multipliers_are_finite(multiplier: float) -> None:
    with pytest.raises(InputError, match="multiplier: expected a finite number"):
        Intervention(0, (1,), multiplier)


def test_neurons_are_distinct_and_positions_known() -> None:
    with pytest.raises(InputError, match="neurons: expected distinct indices"):
        Intervention(0, (1, 1), 2.0)
    with pytest.raises(InputError, match="positions: expected one of all, last, continuation"):
        Intervention(0, (1,), 2.0, "first")  # type: ignore[arg-type]


def test_unknown_architectures_are_refused() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    model = MambaForCausalLM(
        MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, state_size=4)
    )
    with pytest.raises(InputError, match="a decoder whose MLP output projection"):
        find_sites(model)
