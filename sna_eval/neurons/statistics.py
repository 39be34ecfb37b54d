"""Mean activations over prompts, streamed: memory does not grow with the number of prompts.

The mean runs over every real token of every prompt, the first one included. GPT-2 and others carry
very large activations at position 0 whatever the text says; they enter both sides of a difference
alike, and mostly cancel. Padding never counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import torch
from torch import nn

from sna_eval.intervention import Sites
from sna_eval.intervention.devices import input_device
from sna_eval.intervention.shards import whole_layer

Pooling = Literal["mean", "last"]
"""`mean` over all tokens of the prompts (default), or the `last` token of each."""

TokenRow = Sequence[int]
"""Token ids of one prompt."""


@torch.no_grad()
def mean_activations(
    model: nn.Module,
    sites: Sites,
    rows: Sequence[TokenRow],
    *,
    layers: Sequence[int],
    pooling: Pooling = "mean",
    batch_size: int = 16,
) -> dict[int, torch.Tensor]:
    """Mean activation of every neuron of the given layers.

    **Arguments:**

    - `rows`: tokenized prompts, none empty.
    - `layers`: block indices.
    - `pooling`: which tokens of a prompt count.
    - `batch_size`: prompts in one forward pass; the result does not depend on it.

    **Returns:** `{layer: [d_mlp]}` in float64, on the CPU.
    """
    if not rows:
        raise ValueError("mean activations need at least one prompt")
    sums = {layer: torch.zeros(sites.d_mlp, dtype=torch.float64) for layer in layers}
    tokens = 0
    for batch in _batches(rows, batch_size):
        ids, counted = _pad(batch, pooling)
        tokens += int(counted.sum())
        for layer, activations in _activations(model, sites, ids, layers).items():
            weight = counted.reshape(-1, 1).to(activations.device, torch.float64)
            flat = activations.reshape(-1, activations.shape[-1]).double()
            own = (flat * weight).sum(dim=0)
            sums[layer] += whole_layer(sites.projections[layer], own).cpu()
    return {layer: total / tokens for layer, total in sums.items()}


def _batches(rows: Sequence[TokenRow], size: int) -> Iterator[list[TokenRow]]:
    """Rows of like length together, longest first."""
    ordered = sorted(rows, key=len, reverse=True)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _pad(rows: Sequence[TokenRow], pooling: Pooling) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids `[batch, position]` and which of them count, `[batch, position]`.

    Padding on the right needs no attention mask: no real token of a causal model sees it.
    """
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    counted = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        counted[number, 0 if pooling == "mean" else len(row) - 1 : len(row)] = True
    return ids, counted


def _activations(
    model: nn.Module, sites: Sites, ids: torch.Tensor, layers: Sequence[int]
) -> dict[int, torch.Tensor]:
    """One forward pass; the input of each layer's output projection."""
    seen: dict[int, torch.Tensor] = {}

    def keep(layer: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            seen[layer] = args[0]

        return hook

    with ExitStack() as stack:
        for layer in layers:
            handle = sites.projections[layer].register_forward_pre_hook(keep(layer))
            stack.callback(handle.remove)
        model(ids.to(input_device(model)), use_cache=False)
    return seen
