"""Null shares against NumPy's SVD and logits; a neuron made to write where nothing reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.intervention import amplify, find_sites
from sna_eval.intervention.spec import Intervention
from sna_eval.intervention.stream import find_unembedding, writing_weights
from sna_eval.neurons.entropy_neurons import writing_statistics
from tests.conftest import build_model, token_ids

NAMES = ("gpt2", "llama", "gpt_neox", "gemma2")


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> Any:
    model = build_model(request.param)
    with torch.no_grad():  # gains of their own, so that folding them in is seen
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1 and "norm" in name.replace("ln_f", "norm"):
                parameter.add_(torch.linspace(-0.3, 0.4, parameter.numel()))
    return model


def test_the_unembedding_makes_the_models_logits(model: Any) -> None:
    """Its differences between tokens are those of the model's own last steps."""
    unembedding = find_unembedding(model)
    with torch.no_grad():
        states = model(token_ids(1, 6), output_hidden_states=True).hidden_states[-2][0].double()
        hidden = states - states.mean(dim=1, keepdim=True) * unembedding.centers
        normed = hidden / hidden.pow(2).mean(dim=1, keepdim=True).sqrt()
        base = (
            getattr(model, "transformer", None) or getattr(model, "gpt_neox", None) or model.model
        )
        norm = next(
            m for n, m in base.named_children() if n in ("ln_f", "final_layer_norm", "norm")
        )
        bias = getattr(norm, "bias", None)
        final = norm(states.float()) - (0 if bias is None else bias)
        expected = model.get_output_embeddings()(final).double()
    got = normed @ unembedding.weight.t()
    centred = expected - expected.mean(dim=1, keepdim=True)
    torch.testing.assert_close(got, centred, atol=1e-3, rtol=1e-3)


def test_shares_are_those_of_numpys_svd(model: Any) -> None:
    sites = find_sites(model)
    found = writing_statistics(model, sites, 2, null_dimensions=3)
    unembedding = find_unembedding(model)
    _, _, rows = np.linalg.svd(unembedding.weight.numpy(), full_matrices=False)
    written = writing_weights(sites, 2).numpy()
    if unembedding.centers:
        written = written - written.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(written, axis=1)
    np.testing.assert_allclose(found.norms.numpy(), norms)
    shares = np.linalg.norm(written @ rows[-3:].T, axis=1) / norms
    np.testing.assert_allclose(found.null_share.numpy(), shares, atol=1e-6)
    tokens = unembedding.weight.numpy()
    cosines = (tokens / np.linalg.norm(tokens, axis=1, keepdims=True)) @ (
        written / norms[:, None]
    ).T
    np.testing.assert_allclose(found.logit_variance.numpy(), cosines.var(axis=0), atol=1e-12)


def test_writing_weights_are_what_a_neuron_adds(model: Any) -> None:
    sites = find_sites(model)
    activations = torch.zeros(1, 1, sites.d_mlp)
    activations[..., 5] = 1.0
    with torch.no_grad():
        zero = sites.projections[1](torch.zeros(1, 1, sites.d_mlp))
        added = (sites.projections[1](activations) - zero).reshape(-1).double()
    torch.testing.assert_close(writing_weights(sites, 1)[5], added, atol=1e-6, rtol=0)


def test_a_neuron_that_writes_where_nothing_reads_is_found() -> None:
    """Its amplification moves entropy and leaves the order of tokens alone."""
    model = build_model("llama", tie_word_embeddings=False)
    sites = find_sites(model)
    last = sites.n_layers - 1
    with torch.no_grad():
        head = model.get_output_embeddings().weight
        head[:, 0] = 0.0  # no logit reads the first direction of the stream
        sites.projections[last].weight[:, 7] = 0.0
        sites.projections[last].weight[0, 7] = 30.0
    found = writing_statistics(model, sites, last)
    assert found.entropy_neurons()[0] == 7
    assert found.null_share[7] == pytest.approx(1.0, abs=1e-6)
    assert found.logit_variance[7] < 1e-6
    assert found.among([3, 7]) == (7,)
    ids = token_ids(2, 9)
    with torch.no_grad():
        before = model(ids).logits
        with amplify(model, [Intervention(last, (7,), 20.0)]):
            after = model(ids).logits
    factor = (after * before).sum(-1, keepdim=True) / (before**2).sum(-1, keepdim=True)
    # the norm shrinks all logits of a position alike
    torch.testing.assert_close(after, factor * before, atol=1e-4, rtol=1e-4)
    assert (factor - 1).abs().max() > 0.1


def test_impossible_null_spaces_are_refused() -> None:
    model = build_model("gpt2")
    with pytest.raises(InputError, match="null_dimensions: expected from 1 to 31"):
        writing_statistics(model, find_sites(model), 0, null_dimensions=32)


def test_a_model_without_unembedding_is_refused() -> None:
    model = build_model("gpt2").transformer
    model.get_output_embeddings = lambda: None
    with pytest.raises(InputError, match="expected a model with output embeddings"):
        find_unembedding(model)


def test_weights_that_are_no_plain_numbers_are_refused() -> None:
    model = build_model("llama")
    weight = torch.nn.Parameter(torch.zeros(32, 64, dtype=torch.int8), requires_grad=False)
    model.model.layers[1].mlp.down_proj.weight = weight
    with pytest.raises(InputError, match=r"pretrained: expected weights in memory, in a floating"):
        writing_weights(find_sites(model), 1)


def test_a_final_norm_that_is_not_there_is_one_line() -> None:
    model = build_model("llama")
    model.model.final = model.model.norm
    del model.model.norm
    with pytest.raises(InputError, match=r"pretrained: .*it has no final norm at model\.norm"):
        find_unembedding(model)
