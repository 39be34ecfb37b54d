"""What scores depend on beside weights and tokens."""

from __future__ import annotations

from typing import Any

from lm_eval.models.huggingface import HFLM

from sna_eval.intervention.fingerprint import config_fingerprint


def numerics(lm: HFLM) -> dict[str, Any]:
    """A model's precision, window and settings, as plain values.

    Answers, sweeps and measurements that differ in any of it must not be mixed.
    """
    dtypes = {
        "dtype": next(lm.model.parameters()).dtype,
        "mixed_precision_dtype": lm.mixed_precision_dtype,
        "softmax_dtype": lm.softmax_dtype,
    }
    named = {
        name: None if dtype is None else str(dtype).removeprefix("torch.")
        for name, dtype in dtypes.items()
    }
    return {**named, "max_length": lm.max_length, "config_hash": config_fingerprint(lm.model)}
