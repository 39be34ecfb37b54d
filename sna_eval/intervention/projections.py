"""A block's output projections, its MLP's and its attention's: where they are, and how wide.

TransformerLens names the attention's path. What enters that projection is one head after another,
each `d_head` wide, in every attention it knows: grouped queries share keys and values, but each
query head has an output of its own. How many heads there are stands in the model's config.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention.decoder import text_config
from sna_eval.intervention.experts import ExpertsProjection, is_experts


@dataclass(frozen=True, eq=False)
class Projection:
    """A block's output projection, or what stands for those of its experts."""

    path: str
    """Path inside the block."""
    module: nn.Module
    n_experts: int = 0


class NoProjection(nn.Module):
    """Stands where a block has no MLP; nothing can be registered on it."""

    def register_forward_pre_hook(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("layers are checked before hooks are registered")


def projection_in(block: nn.Module, paths: Sequence[str]) -> Projection | None:
    """The first of some paths in a block that leads to a linear layer or to experts."""
    for path in paths:
        module = submodule(block, path)
        if module is not None and is_experts(module):
            experts = ExpertsProjection(module)
            return Projection(path, experts, experts.n_experts)
        if module is not None and widths(module) is not None:
            return Projection(path, module)
    return None


def submodule(block: nn.Module, path: str) -> nn.Module | None:
    """The module at a path, `None` where there is none."""
    try:
        return block.get_submodule(path)
    except AttributeError:
        return None


def widths(projection: Any) -> tuple[int, int] | None:
    """Input and output width of a linear layer, `None` if the module is not one."""
    module = getattr(projection, "base_layer", projection)  # a PEFT layer keeps its own beneath
    if hasattr(module, "in_features") and hasattr(module, "out_features"):
        return int(module.in_features), int(module.out_features)
    weight = getattr(module, "weight", None)
    if type(module).__name__ == "Conv1D" and isinstance(weight, torch.Tensor):
        return int(weight.shape[0]), int(weight.shape[1])  # GPT-2's Conv1D is [in, out]
    return None


def written_by(projection: Any, neuron: int) -> torch.Tensor:
    """The weights that a neuron writes to the stream with: a view, `[d_model]`.

    **Raises:** `InputError` where they are not at hand as plain numbers, e.g. quantised.
    """
    if isinstance(projection, ExpertsProjection):
        return projection.written_by(neuron)
    return written(projection)[neuron]


def written(projection: Any) -> torch.Tensor:
    """The weights that all neurons of a layer write with, `[d_mlp, d_model]`; not to be changed.

    **Raises:** `InputError` as `written_by` does.
    """
    if isinstance(projection, ExpertsProjection):
        return projection.written()
    module = getattr(projection, "base_layer", projection)
    weight = module.weight
    if not isinstance(weight, torch.Tensor) or not weight.is_floating_point() or weight.is_meta:
        raise InputError(
            "pretrained", expected="weights in memory, in a floating-point type",
            got=f"{type(module).__name__}, {getattr(weight, 'dtype', 'no weight')}",
            hint="load the model unquantized and without offloading",
        )  # fmt: skip
    return weight.data if type(module).__name__ == "Conv1D" else weight.data.t()


@dataclass(frozen=True, eq=False)
class Heads:
    """The attention heads of a decoder."""

    count: int
    """Heads in a layer."""
    width: int
    """Channels of a head: `d_head`."""
    path: str
    """Path of the attention's output projection inside a block, e.g. `self_attn.o_proj`."""
    projections: tuple[nn.Module, ...]
    """Each block's; its input is `[..., count * width]`."""
    layers: tuple[int, ...]
    """Blocks that have them."""


def find_heads(model: nn.Module, blocks_map: Any, blocks: tuple[nn.Module, ...]) -> Heads | None:
    """The heads, `None` where the adapter or the config leaves open where they are.

    **Arguments:**

    - `blocks_map`: TransformerLens' component for the blocks.
    - `blocks`: the blocks, first to last.
    """
    attention = blocks_map.submodules.get("attn")
    output = attention.submodules.get("o") if attention is not None else None
    count = getattr(text_config(model), "num_attention_heads", None)
    if output is None or not isinstance(count, int) or count < 1:
        return None
    path = ".".join(part for part in (attention.name, output.name) if part)
    found = [submodule(block, path) for block in blocks]
    inputs = [None if module is None else (widths(module) or (None,))[0] for module in found]
    fitting = Counter(width for width in inputs if width is not None and width % count == 0)
    if not fitting:
        return None
    width = fitting.most_common(1)[0][0]
    projections = (
        module if module is not None and inputs[number] == width else NoProjection()
        for number, module in enumerate(found)
    )
    layers = tuple(number for number, inside in enumerate(inputs) if inside == width)
    return Heads(count, width // count, path, tuple(projections), layers)
