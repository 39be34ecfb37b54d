"""Where an architecture keeps blocks and projections: by TransformerLens, else by their shapes.

TransformerLens keeps an adapter for every architecture it supports. Only its table of names is
read; no bridge is built, and nothing about the model changes.

Where it names none: many decoders are variations on a few designs. The list of blocks is the one
whose length the config gives as its number of layers; a block's output projection is its only
linear layer, outside the attention, from the config's MLP width to its model width, or what holds
its experts. Where that leaves a choice, nothing is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention.decoder import text_config
from sna_eval.intervention.experts import is_experts
from sna_eval.intervention.projections import widths


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
