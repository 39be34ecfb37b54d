"""An output projection's weight, whichever way round the layer keeps it."""

from __future__ import annotations

import torch
from torch import nn

from sna_eval.errors import InputError

_READABLE = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def is_transposed(projection: nn.Module) -> bool:
    """Whether a layer keeps `[d_mlp, d_model]`, as GPT-2's Conv1D does; `nn.Linear` does not."""
    return type(projection).__name__ == "Conv1D"


def neurons_last(projection: nn.Module, name: str) -> torch.Tensor:
    """The weight as `[d_model, d_mlp]`: column `i` is what neuron `i` writes.

    **Raises:** `InputError` where the values are not at hand as plain floating-point numbers.
    """
    weight = getattr(projection, "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.is_meta or weight.dtype not in _READABLE:
        kind = "no weight" if weight is None else f"{weight.dtype} on {weight.device}"
        raise InputError(
            name, expected="a weight in memory, in float16, bfloat16, float32 or float64",
            got=f"{type(projection).__name__}: {kind}",
            hint="load the model unquantized and without offloading, or use --format ia3",
        )  # fmt: skip
    weight = weight.detach()
    return weight.T if is_transposed(projection) else weight


def check_finite(tensor: torch.Tensor, name: str) -> None:
    """Raises `InputError` where a multiplier was too large for the dtype."""
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(
            name, expected=f"scaled weights that {tensor.dtype} can hold", got="an overflow",
            hint="use a smaller multiplier, or load the model with dtype=float32",
        )  # fmt: skip
