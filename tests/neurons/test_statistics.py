"""Streamed means against one forward pass per prompt."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sna_eval.intervention import find_sites
from sna_eval.neurons import Pooling, mean_activations
from tests.conftest import build_model, token_ids

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


@pytest.mark.parametrize("name", ["gpt2", "opt", "llama"])
@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_means(name: str, pooling: Pooling, batch_size: int) -> None:
    model = build_model(name)
    got = mean_activations(
        model, find_sites(model), ROWS, layers=[0, 3], pooling=pooling, batch_size=batch_size
    )
    for layer in (0, 3):
        parts = [activations(model, row, layer) for row in ROWS]
        kept = parts if pooling == "mean" else [part[-1:] for part in parts]
        torch.testing.assert_close(got[layer], torch.cat(kept).mean(0), atol=1e-6, rtol=1e-5)


def test_no_prompts() -> None:
    model = build_model("gpt2")
    with pytest.raises(ValueError, match="at least one prompt"):
        mean_activations(model, find_sites(model), [], layers=[0])
