"""What a baseline pass leaves behind for the configurations that follow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from sna_eval.intervention import Sites


@contextmanager
def captured_activations(
    sites: Sites, neurons: Mapping[int, Sequence[int]], *, rows: int
) -> Iterator[dict[int, torch.Tensor]]:
    """Collects the activations of chosen neurons: `{layer: [row, position, neuron]}`.

    **Arguments:**

    - `neurons`: the neurons wanted, by layer.
    - `rows`: rows of the batch, for models that flatten batch and position before their MLP.
    """
    captured: dict[int, torch.Tensor] = {}

    def keep(layer: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            activations: torch.Tensor = args[0]
            index = torch.tensor(neurons[layer], dtype=torch.long, device=activations.device)
            chosen = activations.index_select(-1, index)
            positions = activations.shape[:-1].numel() // rows
            captured[layer] = chosen.reshape(rows, positions, index.numel())

        return hook

    with ExitStack() as stack:
        for layer in neurons:
            handle = sites.projections[layer].register_forward_pre_hook(keep(layer))
            stack.callback(handle.remove)
        yield captured
