"""Mean activations over prompts, streamed: memory does not grow with the number of prompts.

The mean runs over every real token of every prompt, the first one included. GPT-2 and others carry
very large activations at position 0 whatever the text says; they enter both sides of a difference
alike, and mostly cancel. Padding never counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import nn

from sna_eval.intervention import Sites
from sna_eval.intervention.capturing import captured_neurons
from sna_eval.intervention.devices import in_float64, input_device
from sna_eval.intervention.rows import right_padded
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
        counted = _counted(batch, pooling)
        tokens += int(counted.sum())
        with captured_neurons(sites, layers) as captured:
            model(right_padded(batch).to(input_device(model)), use_cache=False)
        for layer, activations in captured.items():
            flat = activations.reshape(-1, activations.shape[-1])
            own = in_float64(flat[counted.reshape(-1).to(flat.device)]).sum(dim=0)
            sums[layer] += whole_layer(sites.projections[layer], own).cpu()
    return {layer: total / tokens for layer, total in sums.items()}


def _batches(rows: Sequence[TokenRow], size: int) -> Iterator[list[TokenRow]]:
    """Rows of like length together, longest first."""
    ordered = sorted(rows, key=len, reverse=True)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _counted(rows: Sequence[TokenRow], pooling: Pooling) -> torch.Tensor:
    """Which tokens of right-padded rows count: bool, `[batch, position]`."""
    counted = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.bool)
    for number, row in enumerate(rows):
        counted[number, 0 if pooling == "mean" else len(row) - 1 : len(row)] = True
    return counted
