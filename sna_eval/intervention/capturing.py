"""Collecting what passes a place in every block, by hooks that go when the body ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.sites import Sites

Captured = dict[int, torch.Tensor]
"""What was collected, by layer; of several passes in the body, the last one's."""


@contextmanager
def captured_inputs(sites: Sites, layers: Sequence[int]) -> Iterator[Captured]:
    """Collects what enters the given blocks: `{layer: [batch, position, d_model]}`."""
    with _entering({layer: sites.blocks[layer] for layer in layers}) as captured:
        yield captured


@contextmanager
def captured_outputs(sites: Sites, layers: Sequence[int]) -> Iterator[Captured]:
    """Collects what leaves the given blocks: `{layer: [batch, position, d_model]}`."""
    captured: Captured = {}

    def keep(layer: int) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            captured[layer] = output[0] if isinstance(output, (tuple, list)) else output

        return hook

    with ExitStack() as stack:
        for layer in set(layers):
            handle = sites.blocks[layer].register_forward_hook(keep(layer))
            stack.callback(handle.remove)
        yield captured


@contextmanager
def _entering(modules: Mapping[int, nn.Module]) -> Iterator[Captured]:
    """Collects the first argument of each module."""
    captured: Captured = {}

    def keep(layer: int) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            captured[layer] = args[0] if args else kwargs["hidden_states"]

        return hook

    with ExitStack() as stack:
        for layer, module in modules.items():
            handle = module.register_forward_pre_hook(keep(layer), with_kwargs=True)
            stack.callback(handle.remove)
        yield captured
