"""The same functions, computed by faster kernels: equal to the last few bits of float32.

Matrix products stay where PyTorch takes them. oneDNN, on some processors the faster one, adds up a
product's terms one after another, MKL in several sums: products of a thousand terms and more then
lie twice as far from those in float64, and scores with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from sna_eval.intervention.resume import forward_replaced

_TANH_GELUS = ("NewGELUActivation", "FastGELUActivation")
"""Activations of transformers that spell the tanh approximation out, in eight memory passes."""


@contextmanager
def fused_activations(model: nn.Module) -> Iterator[None]:
    """`tanh`-approximated GELUs run as PyTorch's one kernel."""

    def fused(hidden: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(hidden, approximate="tanh")

    with ExitStack() as stack:
        for module in model.modules():
            if type(module).__name__ in _TANH_GELUS:
                stack.enter_context(forward_replaced(module, fused))
        yield
