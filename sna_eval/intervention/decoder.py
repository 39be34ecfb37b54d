"""A decoder as it was loaded: under its wrappers, in its config, on its devices, and its hashes.

accelerate may have put its parts on several devices, or keep them on disk.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from sna_eval.cache import DIGITS, digest
from sna_eval.typed import Json

_BY_LENGTH = ("longrope", "dynamic")
"""Rotary embeddings whose factors go by the length of the whole text."""


def base_model(model: nn.Module) -> nn.Module:
    """The Hugging Face model inside a PEFT wrapper; the model itself where there is none."""
    unwrap = getattr(model, "get_base_model", None)
    return unwrap() if callable(unwrap) else model


def text_config(model: Any) -> Any:
    """The part of a config that describes the decoder; of most models it is the whole."""
    return getattr(model.config, "text_config", None) or model.config


def steady_width(model: Any) -> float:
    """Tokens up to which a part of a text is computed as in the whole; infinite for most models.

    Beyond it, rotary factors change with the length of the text, or attention falls into chunks.
    """
    config = text_config(model)
    chunk = getattr(config, "attention_chunk_size", None)
    limits = [math.inf if chunk is None else chunk]
    for rope in _ropes(getattr(config, "rope_parameters", None)):
        if rope.get("rope_type") in _BY_LENGTH:
            original = rope.get("original_max_position_embeddings")
            limits.append(original or config.max_position_embeddings)
    return float(min(limits))


def _ropes(parameters: Any) -> Iterator[Json]:
    """The rotary embeddings of a config: one for all layers, or one for each kind of layer."""
    if not isinstance(parameters, Mapping):
        return
    if "rope_type" in parameters:
        yield parameters
    yield from (part for part in parameters.values() if isinstance(part, Mapping))


def keeps_keys(model: nn.Module) -> bool:
    """Whether generation goes on from keys and values; else every pass reads the whole text."""
    return "past_key_values" in inspect.signature(base_model(model).forward).parameters


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
        yield name, _spelt_out(fetched)


def _spelt_out(tensor: torch.Tensor) -> torch.Tensor:
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


_ORIGINS = ("_name_or_path", "base_model_name_or_path", "transformers_version", "peft_version")
"""What of a config says where a model came from, and not what it computes."""
_VALUES_PER_TENSOR = 64  # evenly spaced, beside the edges


def model_fingerprint(model: nn.Module) -> str:
    """Hash of a model's tensors: names, shapes, and a sample of the values of each.

    The sample keeps it quick for any size: evenly spaced values, and the edges, whole. Two
    checkpoints of one run differ in every tensor; a neuron that is scaled, as by this package's
    exports, is a column or row of its projection, and every one of these crosses an edge. Values
    are compared as float32, so the dtype a model is loaded in counts through rounding only.
    A PEFT wrapper does not count, the adapter in it does.
    """
    described = [
        (name, list(tensor.shape), _sample(tensor))
        for name, tensor in whole_tensors(base_model(model))
    ]
    return digest(described)


def config_fingerprint(model: nn.Module) -> str:
    """Hash of a model's config, and of its adapters': scales and routing are no tensors."""
    adapters = getattr(model, "peft_config", None) or {}
    base: Any = base_model(model)
    return digest([_as_json(base.config), {name: _as_json(it) for name, it in adapters.items()}])


def _as_json(value: Any) -> Any:
    """Something JSON takes, the same in every process."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): _as_json(entry) for key, entry in value.items() if key not in _ORIGINS}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_as_json(entry) for entry in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _sample(tensor: torch.Tensor) -> str:
    """Hash of evenly spaced values and of the first row and column, of each matrix in a stack."""
    if tensor.is_meta or tensor.numel() == 0:
        return ""
    values = tensor.detach()
    flat = values.reshape(-1)
    stride = max(1, flat.numel() // _VALUES_PER_TENSOR)
    parts = [flat[::stride][:_VALUES_PER_TENSOR]]
    parts += [values[..., 0], values[..., 0, :]] if values.dim() > 1 else [flat]
    found = hashlib.sha256()
    for part in parts:
        found.update(part.float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:DIGITS]
