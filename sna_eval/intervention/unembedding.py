"""What the model reads its logits from: the final norm's gain folded into the unembedding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention.adapters import component_mapping, unknown_architecture
from sna_eval.intervention.projections import submodule, written
from sna_eval.intervention.sites import Sites, base_model


@dataclass(frozen=True, eq=False)
class Unembedding:
    """The linear map from the normed residual stream to logits."""

    weight: torch.Tensor
    """`[vocabulary, d_model]`, the norm's gain folded in and the mean over tokens taken out, which
    no probability depends on; float64, on the CPU."""
    centers: bool
    """Whether the final norm takes the mean out of the stream: LayerNorm does, RMSNorm does not."""


@torch.no_grad()
def find_unembedding(model: nn.Module) -> Unembedding:
    """Reads the unembedding off a model; nothing is changed.

    **Raises:** `InputError` where the model has no output embeddings.
    """
    base = base_model(model)
    head = base.get_output_embeddings()  # type: ignore[operator]
    if head is None:
        raise InputError("pretrained", expected="a model with output embeddings", got=type(base))
    weight = head.weight.detach().cpu().double()
    gain, centers = _gain(_final_norm(base), weight.shape[1])
    folded = weight * gain
    return Unembedding(folded - folded.mean(dim=0), centers)


@torch.no_grad()
def writing_weights(sites: Sites, layer: int) -> torch.Tensor:
    """What each neuron writes into the stream, `[d_mlp, d_model]`; float64, on the CPU.

    **Raises:** `InputError` where the weights are not at hand as plain numbers, e.g. quantised.
    """
    return written(sites.projections[layer]).cpu().double()


def _final_norm(base: nn.Module) -> nn.Module | None:
    architecture, components = component_mapping(base)
    named = components.get("ln_final")
    if named is None:
        return None
    norm = submodule(base, named.name)
    if norm is None:
        raise unknown_architecture(architecture, f"it has no final norm at {named.name}")
    return norm


def _gain(norm: nn.Module | None, width: int) -> tuple[torch.Tensor, bool]:
    """The norm's factors, found by trying: `norm(x) - norm(-x) = 2 * gain * x` for normed `x`."""
    if norm is None:
        return torch.ones(width, dtype=torch.float64), False
    parameter = next(norm.parameters(), torch.zeros(()))
    signs = torch.ones(width, dtype=torch.float64)
    signs[1::2] = -1  # mean 0, mean square 1: normed already (where the width is even)

    def odd_part(x: torch.Tensor) -> torch.Tensor:
        vector = x.to(parameter.device, parameter.dtype).view(1, 1, -1)
        return ((norm(vector) - norm(-vector)) / 2).reshape(-1).cpu().double()

    centers = bool(odd_part(torch.ones(width)).abs().max() < 1e-3)
    return odd_part(signs) * signs, centers
