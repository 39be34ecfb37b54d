"""Where a decoder's MLP neurons are, in any architecture.

A neuron's activation is the value that enters the MLP's output projection. TransformerLens keeps,
for every architecture it supports, an adapter that names the module paths; this file reads the
paths from the adapter and finds the modules on the Hugging Face model as it was loaded. No bridge
is built and nothing about the model changes.

It does not handle mixtures of experts, where a neuron belongs to one expert; they are refused.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sna_eval.errors import InputError


@dataclass(frozen=True, eq=False)
class Sites:
    """The blocks of a decoder and the output projection of each block's MLP."""

    architecture: str
    """Name that TransformerLens gives the architecture, e.g. `GPT2LMHeadModel`."""
    block_path: str
    """Path of the block list in the model, e.g. `transformer.h`."""
    projection_path: str
    """Path of the output projection inside a block, e.g. `mlp.c_proj`."""
    blocks: tuple[nn.Module, ...]
    """The blocks, first to last."""
    projections: tuple[nn.Module, ...]
    """Each block's output projection; its input, `[..., d_mlp]`, holds the activations."""
    d_mlp: int
    """Neurons in a layer."""
    d_model: int
    """Width of the residual stream."""
    attention_outputs: tuple[nn.Module, ...] = ()
    """What hands each block's attention output to the residual stream: the output projection, or
    the norm behind it; empty where the adapter names none."""
    mlp_outputs: tuple[nn.Module, ...] = ()
    """The same for the MLP."""

    @property
    def n_layers(self) -> int:
        return len(self.blocks)

    def check_layer(self, layer: int, *, field: str = "layer") -> None:
        """Raises `InputError` unless `layer` exists."""
        if not 0 <= layer < self.n_layers:
            raise InputError(
                field,
                expected=f"a layer from 0 to {self.n_layers - 1} ({self.architecture})",
                got=layer,
                hint="name a layer of this model, or load the model that the plan was made for",
            )

    def check_neurons(self, neurons: tuple[int, ...], *, field: str = "neurons") -> None:
        """Raises `InputError` unless every neuron exists."""
        outside = [index for index in neurons if not 0 <= index < self.d_mlp]
        if outside:
            raise InputError(
                field,
                expected=f"neurons from 0 to {self.d_mlp - 1} ({self.architecture})",
                got=outside[0],
                hint="name neurons of this model, or load the model that the plan was made for",
            )


def find_sites(model: nn.Module) -> Sites:
    """Finds blocks and MLP output projections of a Hugging Face causal language model.

    **Arguments:**

    - `model`: any `PreTrainedModel`, or a PEFT model around one. It is not changed.

    **Raises:** `InputError` where TransformerLens has no adapter for the architecture, or the
    adapter names no single output projection in every block.
    """
    base = base_model(model)
    architecture, adapter = _adapter(base)
    blocks_map = (adapter.component_mapping or {}).get("blocks")
    mlp_map = blocks_map.submodules.get("mlp") if blocks_map is not None else None
    out_map = mlp_map.submodules.get("out") if mlp_map is not None else None
    if blocks_map is None or mlp_map is None or out_map is None:
        raise _unknown(architecture, "its adapter names no MLP output projection")
    path = ".".join(part for part in (mlp_map.name, out_map.name) if part)
    blocks: tuple[nn.Module, ...] = tuple(base.get_submodule(blocks_map.name).children())
    try:
        projections = tuple(block.get_submodule(path) for block in blocks)
    except AttributeError as error:
        raise _unknown(architecture, f"a block has no `{path}`") from error
    widths = {_widths(projection) for projection in projections}
    width = widths.pop() if len(widths) == 1 else None
    if width is None:
        raise _unknown(architecture, f"`{path}` is no linear layer, or its width varies")
    d_mlp, d_model = width
    return Sites(
        architecture, blocks_map.name, path, blocks, projections, d_mlp, d_model,
        attention_outputs=_outputs(blocks_map, blocks, "attn", "o", "ln1_post"),
        mlp_outputs=_outputs(blocks_map, blocks, "mlp", "out", "ln2_post"),
    )  # fmt: skip


def _outputs(
    blocks_map: Any, blocks: tuple[nn.Module, ...], component: str, projection: str, norm: str
) -> tuple[nn.Module, ...]:
    """The module of every block whose output is a component's share of the residual stream."""
    named, behind = blocks_map.submodules.get(component), blocks_map.submodules.get(norm)
    last = behind or (named.submodules.get(projection) if named is not None else None)
    if last is None:
        return ()
    inside = [] if behind is not None else [named.name]
    path = ".".join(part for part in (*inside, last.name) if part)
    try:
        return tuple(block.get_submodule(path) for block in blocks)
    except AttributeError:
        return ()


def base_model(model: nn.Module) -> nn.Module:
    """The Hugging Face model inside a PEFT wrapper; the model itself where there is none."""
    unwrap = getattr(model, "get_base_model", None)
    return unwrap() if callable(unwrap) else model


def _adapter(model: nn.Module) -> tuple[str, Any]:
    """The architecture's name and its TransformerLens adapter."""
    from transformer_lens.factories.architecture_adapter_factory import (
        SUPPORTED_ARCHITECTURES,
        ArchitectureAdapterFactory,
    )
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_config_from_hf
    from transformer_lens.model_bridge.sources._hf_format import (
        determine_architecture_from_hf_config,
    )

    config = getattr(model, "config", None)
    if config is None:
        raise _unknown(type(model).__name__, "the model has no config")
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)  # adapters warn about numerics of a bridge; none is built here
    try:
        name = type(model).__name__  # a model built from a config has no `config.architectures`
        if name not in SUPPORTED_ARCHITECTURES:
            name = determine_architecture_from_hf_config(config)
        bridge_config = build_bridge_config_from_hf(config, name, "sna-eval", torch.float32)
        return name, ArchitectureAdapterFactory.select_architecture_adapter(bridge_config)
    except (ValueError, KeyError, AttributeError) as error:
        raise _unknown(type(model).__name__, "TransformerLens has no adapter for it") from error
    finally:
        logging.disable(previous)


def _widths(projection: Any) -> tuple[int, int] | None:
    """Input and output width of a linear layer, `None` if the module is not one."""
    module = getattr(projection, "base_layer", projection)  # a PEFT layer keeps its own beneath
    if hasattr(module, "in_features") and hasattr(module, "out_features"):
        return int(module.in_features), int(module.out_features)
    weight = getattr(module, "weight", None)
    if type(module).__name__ == "Conv1D" and isinstance(weight, torch.Tensor):
        return int(weight.shape[0]), int(weight.shape[1])  # GPT-2's Conv1D is [in, out]
    return None


def _unknown(architecture: str, why: str) -> InputError:
    return InputError(
        "pretrained",
        expected="a decoder whose MLP output projection TransformerLens knows",
        got=f"{architecture}: {why}",
        hint="use another model, or add an adapter to TransformerLens",
    )
