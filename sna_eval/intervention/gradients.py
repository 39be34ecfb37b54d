"""Gradients of what a model computes by its neurons' activations, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.sites import Sites


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """No weight of the model asks for gradients in the body."""
    asked = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in asked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad_(True)


@contextmanager
def differentiable_neurons(
    sites: Sites, layers: Sequence[int]
) -> Iterator[dict[int, torch.Tensor]]:
    """Collects the activations of the given layers as parts of the graph.

    Where no parameter asks for gradients, the lowest layer's activations become its leaves.
    """
    seen: dict[int, torch.Tensor] = {}

    def keep(layer: int) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            values: torch.Tensor = args[0]
            seen[layer] = values if values.requires_grad else values.detach().requires_grad_()
            return (seen[layer], *args[1:])

        return hook

    with ExitStack() as stack:
        for layer in layers:
            handle = sites.projections[layer].register_forward_pre_hook(keep(layer))
            stack.callback(handle.remove)
        yield seen
