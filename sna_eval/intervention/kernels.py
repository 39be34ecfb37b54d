"""The same functions, computed by faster kernels: equal to the last few bits of float32."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch import nn

from sna_eval.intervention.resume import forward_replaced

_TANH_GELUS = ("NewGELUActivation", "FastGELUActivation")
"""Activations of transformers that spell the tanh approximation out, in eight memory passes."""
_CPU_FACTS = Path("/proc/cpuinfo")


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


@contextmanager
def onednn_products(model: nn.Module) -> Iterator[None]:
    """Linear layers in float32 on a CPU run through oneDNN; without gradients.

    The operator is the one that PyTorch's compiler calls.
    """
    with ExitStack() as stack:
        for module in model.modules():
            weight = _weight(module)
            if weight is not None:
                stack.enter_context(forward_replaced(module, _linear(weight, module.bias)))  # type: ignore[arg-type]
        yield


def onednn_is_faster() -> bool:
    """Whether oneDNN beats MKL, to which PyTorch takes float32 products, on this processor.

    MKL leaves AVX-512 unused on AMD's, where oneDNN is about twice as fast. With AVX2 alone it is
    the slower one. Told by the processor and not by a timed trial, so that a machine gives the same
    bits in every run.
    """
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512") and _is_amd()


def _is_amd() -> bool:
    try:
        with _CPU_FACTS.open(encoding="ascii", errors="replace") as file:
            named = file.read(1000)  # of the first core
    except OSError:  # no Linux
        named = platform.processor()
    return "AuthenticAMD" in named


def _weight(module: nn.Module) -> torch.Tensor | None:
    """A linear layer's weight as `[out, in]`, if it is in float32 on a CPU."""
    conv1d = type(module).__name__ == "Conv1D"  # GPT-2's, which is [in, out]
    if type(module) is not nn.Linear and not conv1d:
        return None
    if "forward" in module.__dict__:  # somebody else's, who moves weights between devices
        return None
    weight: torch.Tensor = module.weight  # type: ignore[assignment]
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return None
    return weight.t() if conv1d else weight


def _linear(
    weight: torch.Tensor, bias: torch.Tensor | None
) -> Callable[[torch.Tensor], torch.Tensor]:
    operator = torch.ops.mkldnn._linear_pointwise

    def linear(hidden: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = operator(hidden, weight, bias, "none", [], "")
        return product

    return linear
