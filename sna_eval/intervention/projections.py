"""Where a model keeps its blocks and their output projections, its MLP's and its attention's.

TransformerLens keeps an adapter for every architecture it supports. Only its table of names is
read; no bridge is built, and nothing about the model changes.

Where it names none: many decoders are variations on a few designs. The list of blocks is the one
whose length the config gives as its number of layers; a block's output projection is its only
linear layer, outside the attention, from the config's MLP width to its model width, or what holds
its experts. Where that leaves a choice, nothing is taken.

TransformerLens names the attention's path too. What enters that projection is one head after
another, each `d_head` wide, in every attention it knows: grouped queries share keys and values, but
each query head has an output of its own. How many heads there are stands in the model's config.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention.decoder import text_config
from sna_eval.intervention.experts import ExpertsProjection, is_experts


def known_architectures() -> tuple[str, ...]:
    """Names of the architectures that the installed TransformerLens has adapters for."""
    from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES

    return tuple(sorted(SUPPORTED_ARCHITECTURES))


def component_mapping(model: nn.Module) -> tuple[str, Any]:
    """The architecture's name and its adapter's components by name.

    **Raises:** `InputError` where there is no adapter.
    """
    config = getattr(model, "config", None)
    if config is None:
        raise unknown_architecture(type(model).__name__, "the model has no config")
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)  # adapters warn about numerics of a bridge; none is built here
    try:
        name = _name(model, config)
        return name, _adapter(name, config).component_mapping or {}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise unknown_architecture(
            type(model).__name__, "TransformerLens has no adapter for it"
        ) from error
    finally:
        logging.disable(previous)


def unknown_architecture(architecture: str, why: str) -> InputError:
    """The complaint about a model whose neurons cannot be found."""
    return InputError(
        "pretrained",
        expected="a decoder whose MLP output projection TransformerLens or its shapes tell",
        got=f"{architecture}: {why}",
        hint="use another model, or add an adapter to TransformerLens",
    )


def _name(model: nn.Module, config: Any) -> str:
    from transformer_lens.model_bridge.sources._hf_format import (
        determine_architecture_from_hf_config,
    )

    name = type(model).__name__  # a model built from a config has no `config.architectures`
    if name in known_architectures():
        return name
    return str(determine_architecture_from_hf_config(config))


def _adapter(name: str, config: Any) -> Any:
    from transformer_lens.factories.architecture_adapter_factory import ArchitectureAdapterFactory
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_config_from_hf

    bridge_config = build_bridge_config_from_hf(config, name, "sna-eval", torch.float32)
    return ArchitectureAdapterFactory.select_architecture_adapter(bridge_config)


_MLP_WIDTHS = ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "d_ff")
_EXPERTS = "experts"
_ASIDE = (
    "attn", "attention", "shared", "mamba", "conv", "out_proj", "adapter", "lora", "base_layer",
)  # fmt: skip
"""Parts of module names that no MLP's output projection has; a layer with a LoRA adapter is taken
whole, what the adapter adds is amplified with it."""


@dataclass(frozen=True, eq=False)
class Structure:
    """Where blocks are, and where in them output projections may be."""

    block_path: str
    blocks: tuple[nn.Module, ...]
    paths: tuple[str, ...]
    """Paths inside a block, the first that leads somewhere counts."""


def find_structure(model: nn.Module) -> Structure | None:
    """The structure of a decoder, `None` where its shapes leave a choice or none."""
    config = text_config(model)
    found = _block_list(model, getattr(config, "num_hidden_layers", None))
    d_model = getattr(config, "hidden_size", None)
    wide = [getattr(config, name, None) for name in _MLP_WIDTHS]
    d_mlp = next((width for width in wide if isinstance(width, int)), None)
    if found is None or d_model is None:
        return None
    block_path, blocks = found
    per_block = [tuple(_candidates(block, d_mlp, d_model)) for block in blocks]
    if any(len(paths) > 1 for paths in per_block):
        return None
    paths = tuple(dict.fromkeys(path for of_block in per_block for path in of_block))
    plain = [path for path in paths if not path.endswith(_EXPERTS)]
    if not paths or len(plain) > 1 or len(paths) - len(plain) > 1:
        return None
    return Structure(block_path, blocks, paths)


def _block_list(model: nn.Module, count: Any) -> tuple[str, tuple[nn.Module, ...]] | None:
    """The only list of as many modules as the config has layers."""
    lists = [
        (path, tuple(module))
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count
    ]
    outermost = [
        modules for modules in lists if not any(_inside(modules[0], other[0]) for other in lists)
    ]
    return outermost[0] if len(outermost) == 1 else None


def _candidates(block: nn.Module, d_mlp: int | None, d_model: int) -> Iterator[str]:
    """Paths of modules that may be the block's output projection."""
    for path, module in block.named_modules():
        if any(part in path.lower() for part in _ASIDE):
            continue
        whole = hasattr(module, "base_layer") or not list(module.children())
        if (is_experts(module) and path.endswith(_EXPERTS)) or (
            whole and widths(module) == (d_mlp, d_model)
        ):
            yield path


def _inside(path: str, outer: str) -> bool:
    return path.startswith(f"{outer}.")


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


@runtime_checkable
class Writer(Protocol):
    """What stands for an output projection and knows what it writes."""

    def written(self) -> torch.Tensor:
        """What all of a layer's units write, per unit of their activation, `[unit, d_model]`."""


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
    if isinstance(projection, Writer):
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
