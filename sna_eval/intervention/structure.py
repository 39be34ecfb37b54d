"""Blocks and output projections told from shapes, where TransformerLens names none.

Many decoders are variations on a few designs. The list of blocks is the one whose length the config
gives as its number of layers; a block's output projection is its only linear layer, outside the
attention, from the config's MLP width to its model width, or what holds its experts. Where that
leaves a choice, nothing is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from sna_eval.intervention.config import text_config
from sna_eval.intervention.experts import is_experts
from sna_eval.intervention.projections import widths

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
