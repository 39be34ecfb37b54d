"""Resuming a forward pass at a block, with what entered or left it.

A resumed pass leaves the module list and its indices alone: blocks below the layer hand their
input through, the captured rows go in at the layer, and the model's own `forward` runs, so masks,
rotary tables and caches stay its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.sites import Sites


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
