"""Patching through TransformerLens against this package's own passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sna_eval.intervention import Intervention, Row, Sites, amplify, find_sites
from sna_eval.neurons.activation_patching import NeuronEffect, Patching, patch_neurons
from tests.conftest import build_model, token_ids

NEURONS = (1, 5, 9)
ROWS = [
    Row(tuple(ids[:4]), (tuple(ids[4:end]),))
    for ids, end in zip(token_ids(3, 7, seed=3).tolist(), (5, 7, 6), strict=True)
]


@pytest.fixture(scope="module", params=["gpt2", "llama", "gpt_neox"])
def model(request: pytest.FixtureRequest) -> Any:
    return build_model(request.param)


@torch.no_grad()
def mean_probability(model: Any, interventions: list[Intervention]) -> float:
    values = []
    for row in ROWS:
        (branch,) = row.branches
        with amplify(model, interventions):
            logits = model(torch.tensor([row.context + branch[:-1]])).logits[0].double()
        read = torch.log_softmax(logits, -1)[len(row.context) - 1 :]
        values.append(sum(read[n, token] for n, token in enumerate(branch)).exp())
    return float(torch.stack(values).mean())


def test_effects_are_those_of_amplifying_one_neuron(model: Any, word_tokenizer: Any) -> None:
    """In one layer, putting in an amplified activation is amplifying that neuron."""
    whole = Intervention(2, NEURONS, 3.0)
    calls: list[int] = []
    found = patch_neurons(model, word_tokenizer, ROWS, [whole], batch_size=2, progress=calls.append)
    baseline, amplified = mean_probability(model, []), mean_probability(model, [whole])
    assert found.baseline == pytest.approx(baseline, abs=1e-5)
    assert found.amplified == pytest.approx(amplified, abs=1e-5)
    for neuron in found.neurons:
        alone = mean_probability(model, [Intervention(2, (neuron.neuron,), 3.0)])
        assert neuron.alone == pytest.approx(alone - baseline, abs=1e-6)
        rest = tuple(n for n in NEURONS if n != neuron.neuron)
        without = mean_probability(model, [Intervention(2, rest, 3.0)])
        assert neuron.without == pytest.approx(amplified - without, abs=1e-6)
    assert len(calls) == 2 + 2 * len(NEURONS)


def test_the_model_is_left_alone(model: Any, word_tokenizer: Any) -> None:
    ids = token_ids(2, 8)
    modules = list(model.modules())
    with torch.no_grad():
        plain = model(ids).logits
        patch_neurons(model, word_tokenizer, ROWS, [Intervention(1, (2,), 2.0)])
        assert torch.equal(model(ids).logits, plain)
    assert list(model.modules()) == modules


def test_a_later_layer_carries_what_it_receives(model: Any, word_tokenizer: Any) -> None:
    """Across layers, a neuron's amplified activation holds what came from below."""
    both = [Intervention(0, (3, 4), 6.0), Intervention(3, (5,), 2.0)]
    found = patch_neurons(model, word_tokenizer, ROWS, both)
    assert found.amplified == pytest.approx(mean_probability(model, both), abs=1e-5)
    sites: Sites = find_sites(model)
    seen: list[torch.Tensor] = []
    handle = sites.projections[3].register_forward_pre_hook(
        lambda module, args: seen.append(args[0][..., 5].clone())
    )
    values = []
    for row in ROWS:
        (branch,) = row.branches
        ids = torch.tensor([row.context + branch[:-1]])
        seen.clear()
        with torch.no_grad(), amplify(model, both[:1]):
            model(ids)
        amplified = 2.0 * seen[0]

        def put(module: Any, args: Any, value: torch.Tensor = amplified) -> Any:
            changed = args[0].clone()
            changed[..., 5] = value.reshape(changed.shape[:-1])
            return (changed, *args[1:])

        patch = sites.projections[3].register_forward_pre_hook(put)
        with torch.no_grad():
            read = torch.log_softmax(model(ids).logits[0].double(), -1)[len(row.context) - 1 :]
        patch.remove()
        values.append(sum(read[n, token] for n, token in enumerate(branch)).exp())
    handle.remove()
    alone = float(torch.stack(values).mean()) - mean_probability(model, [])
    assert found.neurons[-1].alone == pytest.approx(alone, abs=1e-6)


def test_the_fewest_that_carry_a_share() -> None:
    effects = [0.01, 0.05, -0.02, 0.03]
    neurons = tuple(NeuronEffect(0, n, effect, effect) for n, effect in enumerate(effects))
    found = Patching(0.2, 0.28, neurons)
    assert [effect.neuron for effect in found.carrying(0.5)] == [1]
    assert [effect.neuron for effect in found.carrying(0.9)] == [1, 3]
    assert [effect.neuron for effect in found.carrying(1.0)] == [1, 3]
    assert [effect.neuron for effect in Patching(0.2, 0.9, neurons).carrying(1.0)] == [1, 3, 0]
    assert [effect.neuron for effect in Patching(0.2, 0.15, neurons).carrying(0.9)] == [2]
