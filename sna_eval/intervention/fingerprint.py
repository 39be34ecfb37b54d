"""Short hashes of a model: of its tensors, and of what its config says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sna_eval.hashing import DIGITS, digest
from sna_eval.intervention.devices import whole_tensors
from sna_eval.intervention.sites import base_model

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
    return digest([_plain(base.config), {name: _plain(it) for name, it in adapters.items()}])


def _plain(value: Any) -> Any:
    """Something JSON takes, the same in every process."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if key not in _ORIGINS}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
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
