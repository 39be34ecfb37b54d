"""What scores depend on beside weights and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sna_eval.intervention import base_model
from sna_eval.plan.fingerprint import digest

_NAMES = ("_name_or_path", "base_model_name_or_path", "transformers_version", "peft_version")
"""What of a config says where a model came from, and not what it computes."""


def numerics(lm: Any) -> dict[str, Any]:
    """A model's precision, window and settings, as plain values.

    Answers, sweeps and measurements that differ in any of it must not be mixed.
    """
    dtypes = {
        "dtype": next(lm.model.parameters()).dtype,
        "mixed_precision_dtype": lm.mixed_precision_dtype,
        "softmax_dtype": lm.softmax_dtype,
    }
    named = {
        name: None if own is None else str(own).removeprefix("torch.")
        for name, own in dtypes.items()
    }
    return {**named, "max_length": lm.max_length, "config_hash": _config_hash(lm.model)}


def _config_hash(model: Any) -> str:
    """Hash of a model's config, and of its adapters': scales and routing are no tensors."""
    adapters = getattr(model, "peft_config", None) or {}
    return digest([_plain(base_model(model).config), {k: _plain(v) for k, v in adapters.items()}])


def _plain(value: Any) -> Any:
    """Something JSON takes, the same in every process."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): _plain(own) for key, own in value.items() if key not in _NAMES}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_plain(own) for own in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
