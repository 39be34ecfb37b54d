"""Activations by hooks of the tests' own, one text at a time, on modules named by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

PROJECTIONS = {
    "gpt2": "transformer.h.{}.mlp.c_proj",
    "gpt_neox": "gpt_neox.layers.{}.mlp.dense_4h_to_h",
    "llama": "model.layers.{}.mlp.down_proj",
    "mistral": "model.layers.{}.mlp.down_proj",
    "qwen2": "model.layers.{}.mlp.down_proj",
    "gemma2": "model.layers.{}.mlp.down_proj",
    "phi": "model.layers.{}.mlp.fc2",
    "opt": "model.decoder.layers.{}.fc2",
}
"""What each architecture's neurons enter."""


def projection(model: Any, layer: int) -> Any:
    name = PROJECTIONS.get(model.config.model_type, "model.layers.{}.mlp.down_proj")
    return model.get_submodule(name.format(layer))


@torch.no_grad()
def activations(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """`[layer, token, d_mlp]`, float64."""
    seen: list[torch.Tensor] = []
    handles = [
        projection(model, layer).register_forward_pre_hook(
            lambda module, args: seen.append(args[0].reshape(len(ids), -1).double())
        )
        for layer in range(model.config.num_hidden_layers)
    ]
    model(torch.tensor([list(ids)]))
    for handle in handles:
        handle.remove()
    return torch.stack(seen)


@contextmanager
def multiplied(model: Any, neurons: Mapping[int, Sequence[int]], factor: float) -> Iterator[None]:
    """The neurons' activations times a factor, at every token."""

    def hook(chosen: Sequence[int]) -> Any:
        def change(module: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            scale = torch.ones(args[0].shape[-1])
            scale[list(chosen)] = factor
            return (args[0] * scale,)

        return change

    handles = [
        projection(model, layer).register_forward_pre_hook(hook(chosen))
        for layer, chosen in neurons.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
