"""Devices of a model whose parts accelerate has put on several, or keeps on disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.sites import base_model


def input_device(model: nn.Module) -> torch.device:
    """Where token ids go: to the embedding.

    accelerate gives a module whose weights it fetches from elsewhere a hook that knows where it
    runs; the weights themselves are then on the `meta` device.
    """
    embedding: Any = base_model(model).get_input_embeddings()  # type: ignore[operator]
    chosen = getattr(getattr(embedding, "_hf_hook", None), "execution_device", None)
    if chosen is not None:
        return torch.device(chosen)
    weight = getattr(embedding, "weight", None)
    device: torch.device = (weight if weight is not None else next(model.parameters())).device
    return device


def in_float64(tensor: torch.Tensor) -> torch.Tensor:
    """The values in float64: on their device, or on the CPU where that device has no such type."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def whole_tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """A model's state by name, in the order of names, one tensor at a time.

    Tensors that accelerate keeps elsewhere are fetched, and quantized ones spelt out. Those that
    several processes hold together are put together; all of these must then go through all of it.
    """
    for name, tensor in sorted(model.state_dict().items(), key=lambda entry: entry[0]):
        fetched = _fetched(model, name) if tensor.is_meta else tensor
        yield name, _plain(fetched)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    together = getattr(tensor, "full_tensor", None)  # a DTensor's
    if together is not None:
        whole: torch.Tensor = together()
        return whole
    spells_out = type(tensor).dequantize is not torch.Tensor.dequantize
    return tensor.dequantize() if spells_out else tensor


def _fetched(model: nn.Module, name: str) -> torch.Tensor:
    from accelerate.utils import align_module_device

    path, _, attribute = name.rpartition(".")
    module = model.get_submodule(path)
    with align_module_device(module, torch.device("cpu")):
        tensor: torch.Tensor = getattr(module, attribute)
        return tensor.detach().clone()
