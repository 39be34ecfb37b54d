"""Streamed means against one full forward pass per prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from sna_eval.intervention import find_sites
from sna_eval.neurons import Pooling, Sinks, mean_activations
from sna_eval.neurons.statistics import summed_activations
from tests.conftest import CONFIGS, FURTHER_CONFIGS, build_model, token_ids

ROWS = [token_ids(1, width, seed=width)[0].tolist() for width in (3, 9, 5, 1, 9)]


@torch.no_grad()
def activations(model: Any, row: list[int], layer: int) -> torch.Tensor:
    """All activations of one prompt, `[position, d_mlp]`, by a hook of this test's own."""
    seen: list[torch.Tensor] = []
    projection = find_sites(model).projections[layer]
    handle = projection.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    model(torch.tensor([row]))
    handle.remove()
    return seen[0].reshape(len(row), -1).double()


def by_hand(
    model: Any, rows: Sequence[list[int]], layer: int, pooling: Pooling, sinks: Sinks
) -> torch.Tensor:
    """The mean over the tokens that count, one prompt at a time."""
    first = 0 if sinks == "keep" else 1
    parts = [activations(model, row, layer)[first:] for row in rows if len(row) > first]
    kept = parts if pooling == "mean" else [part[-1:] for part in parts]
    return torch.cat(kept).mean(0)


@pytest.mark.parametrize("name", sorted({**CONFIGS, **FURTHER_CONFIGS}))
def test_means_of_every_architecture(name: str) -> None:
    model = build_model(name)
    sites = find_sites(model)
    layers = [sites.layers[0], sites.layers[-1]]
    got = mean_activations(model, sites, ROWS, layers=layers)
    for layer in layers:
        expected = by_hand(model, ROWS, layer, "mean", "drop")
        torch.testing.assert_close(got[layer], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("sinks", ["drop", "keep"])
@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("tokens", [1, 10, 1024])
def test_what_counts(pooling: Pooling, sinks: Sinks, tokens: int) -> None:
    model = build_model("gpt2")
    got = mean_activations(
        model, find_sites(model), ROWS, layers=[2, 0], pooling=pooling, sinks=sinks,
        tokens_per_pass=tokens,
    )  # fmt: skip
    for layer in (0, 2):
        expected = by_hand(model, ROWS, layer, pooling, sinks)
        torch.testing.assert_close(got[layer], expected, atol=1e-6, rtol=1e-5)


def test_prompts_of_one_token_count_where_there_are_no_others() -> None:
    model = build_model("gpt2")
    rows = [[5], [9]]
    got = mean_activations(model, find_sites(model), rows, layers=[1])[1]
    torch.testing.assert_close(got, by_hand(model, rows, 1, "mean", "keep"), atol=1e-6, rtol=1e-5)


def test_groups_of_one_pass_are_their_own_means() -> None:
    model = build_model("llama")
    groups = [1, 0, 1, 0, 0]
    sums = summed_activations(
        model, find_sites(model), ROWS, groups, layers=[1, 3], pooling="mean", sinks="drop"
    )
    assert list(sums) == [0, 1]
    for group, found in sums.items():
        rows = [row for row, number in zip(ROWS, groups, strict=True) if number == group]
        assert found.tokens == sum(len(row) - 1 for row in rows)
        expected = by_hand(model, rows, 3, "mean", "drop")
        torch.testing.assert_close(found.means()[3], expected, atol=1e-6, rtol=1e-5)
    together = sums[0] + sums[1]
    expected = by_hand(model, ROWS, 1, "mean", "drop")
    torch.testing.assert_close(together.means()[1], expected, atol=1e-6, rtol=1e-5)


def test_nothing_above_the_last_layer_is_run() -> None:
    """Nor that layer's own projection, nor the vocabulary's; and no hook stays."""
    model = build_model("llama")
    sites = find_sites(model)
    ids = token_ids(2, 6)
    before = model(ids).logits
    ran: list[str] = []
    handles = [
        module.register_forward_hook(lambda module, args, output, name=name: ran.append(name))
        for name, module in {
            "below": sites.projections[0], "own": sites.projections[1],
            "above": sites.blocks[2], "vocabulary": model.lm_head,
        }.items()
    ]  # fmt: skip
    mean_activations(model, sites, ROWS, layers=[0, 1])
    for handle in handles:
        handle.remove()
    assert set(ran) == {"below"}
    assert torch.equal(model(ids).logits, before)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_model_that_is_fetched_layer_by_layer_stays_whole() -> None:
    """accelerate brings weights before a module runs and takes them away after: a pass that ends
    inside leaves nothing half done."""
    from accelerate import cpu_offload

    model = build_model("llama")
    sites, ids = find_sites(model), token_ids(2, 6)
    with torch.no_grad():
        logits = model(ids).logits
    expected = mean_activations(model, sites, ROWS, layers=[1])[1]
    cpu_offload(model, execution_device=torch.device("cpu"))
    got = mean_activations(model, sites, ROWS, layers=[1])[1]
    assert torch.equal(got, expected)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, logits)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_no_prompts() -> None:
    model = build_model("gpt2")
    with pytest.raises(ValueError, match="at least one prompt"):
        mean_activations(model, find_sites(model), [], layers=[0])
