"""Attribution against finite differences of the amplified model."""

from __future__ import annotations

import pytest
import torch

from sna_eval.intervention import Intervention, amplify, find_sites
from sna_eval.neurons import attribution_scores
from tests.conftest import build_model, token_ids
from tests.neurons.answered import log_prob, rows

_STEP = {"gpt2": 1e-5, "opt": 1e-5, "llama": 2e-3}
"""Llama's norms compute in float32 whatever the model's dtype: small steps drown in rounding."""
_ERROR = {"gpt2": 1e-7, "opt": 1e-7, "llama": 2e-4}


@pytest.mark.parametrize("name", sorted(_STEP))
@pytest.mark.parametrize("trainable", [True, False])
def test_equals_the_derivative_by_the_multiplier(name: str, trainable: bool) -> None:
    """`d log P / d m` at `m = 1` is the sum over tokens of activation times gradient."""
    model = build_model(name).double().requires_grad_(trainable)
    sites = find_sites(model)
    scores = attribution_scores(model, sites, rows(), layers=[1, 3], sinks="keep")
    step = _STEP[name]
    for layer in (1, 3):
        for neuron in (0, 17, 40):
            ends = []
            for multiplier in (1 + step, 1 - step):
                with amplify(model, [Intervention(layer, (neuron,), multiplier)]):
                    ends.append(sum(log_prob(model, row) for row in rows()) / 3)
            slope = (ends[0] - ends[1]) / (2 * step)
            assert float(scores[layer][neuron]) == pytest.approx(slope, rel=1e-4, abs=_ERROR[name])


def test_does_not_depend_on_the_batch() -> None:
    model = build_model("gpt2")
    sites = find_sites(model)
    apart = [attribution_scores(model, sites, [row], layers=[0])[0] for row in rows()]
    together = attribution_scores(model, sites, rows(), layers=[0])[0]
    torch.testing.assert_close(together, sum(apart) / len(apart), rtol=1e-4, atol=1e-6)


def test_leaves_no_gradient_and_no_hook() -> None:
    model = build_model("gpt2")
    before = model(token_ids(2, 6)).logits
    attribution_scores(model, find_sites(model), rows(), layers=[0, 2])
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(model(token_ids(2, 6)).logits, before)


def test_needs_a_prompt() -> None:
    model = build_model("gpt2")
    with pytest.raises(ValueError, match="at least one prompt"):
        attribution_scores(model, find_sites(model), [], layers=[0])
