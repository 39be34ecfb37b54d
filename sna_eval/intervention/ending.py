"""Forward passes that end at the last layer whose neurons are wanted.

What comes after it is not run: neither that layer's output projection, nor the blocks above, nor
the final norm and the vocabulary projection. A pass ends by an exception that the hook of the last
layer raises where its activations are seen, so it works for any architecture, whatever its blocks
return and whatever its `forward` does with that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.sites import Sites

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
