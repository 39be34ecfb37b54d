"""Parts of forward passes: what passes a place is collected, passes begin at a block or end at one.

A resumed pass leaves the module list and its indices alone: blocks below the layer hand their
input through, the captured rows go in at the layer, and the model's own `forward` runs, so masks,
rotary tables and caches stay its own.

A pass that ends at the last layer whose neurons are wanted runs nothing behind it: neither that
layer's output projection, nor the blocks above, nor the final norm and the vocabulary projection.
It ends by an exception that the hook of the last layer raises where its activations are seen, so it
works for any architecture, whatever its blocks return and whatever its `forward` does with that.
"""

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


@contextmanager
def continued(
    sites: Sites, layer: int, hidden: torch.Tensor, *, returns_tuple: bool
) -> Iterator[None]:
    """Forward passes in the body go on behind block `layer`, as if it had left `hidden`.

    **Arguments:**

    - `hidden`: what leaves the block, `[batch, position, d_model]`.
    - `returns_tuple`: whether this model's blocks return a tuple or a bare tensor.
    """

    def leave(*args: Any, **kwargs: Any) -> Any:
        return (hidden, None) if returns_tuple else hidden

    with ExitStack() as stack:
        for block in sites.blocks[: layer + 1]:
            stack.enter_context(forward_replaced(block, leave))
        yield


@contextmanager
def resumed(
    sites: Sites, layer: int, hidden: torch.Tensor, *, returns_tuple: bool
) -> Iterator[None]:
    """Forward passes in the body start at block `layer` with `hidden`.

    **Arguments:**

    - `hidden`: what enters the block, `[batch, position, d_model]`.
    - `returns_tuple`: whether this model's blocks return a tuple or a bare tensor.
    """

    def hand_through(hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return (hidden_states, None) if returns_tuple else hidden_states

    def put_in(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (hidden, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": hidden}

    with ExitStack() as stack:
        for block in sites.blocks[:layer]:
            stack.enter_context(forward_replaced(block, hand_through))
        handle = sites.blocks[layer].register_forward_pre_hook(put_in, with_kwargs=True)
        stack.callback(handle.remove)
        yield


@contextmanager
def forward_replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Shadows a module's `forward` by an instance attribute, and takes exactly that away again."""
    shadowed = module.__dict__.get("forward")  # accelerate's device hooks keep theirs here
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        if shadowed is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = shadowed


See = Callable[[int, torch.Tensor], None]
"""Told a layer and its activations, `[..., d_mlp]`; some models flatten batch and position."""


class _SeenEnough(Exception):
    """All wanted layers were seen; never leaves this file."""


@torch.no_grad()
def run_to(
    model: nn.Module, sites: Sites, layers: Sequence[int], input_ids: torch.Tensor, see: See
) -> None:
    """Runs token ids through the blocks up to the last of some layers.

    **Arguments:**

    - `layers`: block indices, in any order.
    - `input_ids`: `[batch, position]`, padded on the right.
    - `see`: told of the activations of every layer, lowest first.
    """
    last = max(layers)

    def keep(layer: int) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            see(layer, args[0] if args else kwargs["hidden_states"])
            if layer == last:
                raise _SeenEnough

        return hook

    with ExitStack() as stack:
        for layer in layers:
            handle = sites.projections[layer].register_forward_pre_hook(
                keep(layer), with_kwargs=True
            )
            stack.callback(handle.remove)
        try:
            model(input_ids, use_cache=False)
        except _SeenEnough:
            return
    raise AssertionError(f"layer {last} was not reached")
