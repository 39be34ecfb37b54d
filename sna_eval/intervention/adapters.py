"""What TransformerLens knows about an architecture: names of module paths.

TransformerLens keeps an adapter for every architecture it supports. Only its table of names is
read; no bridge is built, and nothing about the model changes.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from sna_eval.errors import InputError


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
