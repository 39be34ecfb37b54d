"""What neurons write into the residual stream, and what logits are read from it with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention.decoder import base_model
from sna_eval.intervention.features import FeatureSite
from sna_eval.intervention.projections import (
    component_mapping,
    submodule,
    unknown_architecture,
    written,
)
from sna_eval.intervention.sites import Sites


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


_CHUNK = 1024  # neurons whose columns are held at once


@torch.no_grad()
def output_columns(sites: Sites, layer: int, neurons: Sequence[int]) -> torch.Tensor:
    """What a layer's projection writes per unit of each neuron, `[neuron, d_model]`.

    Asked of the module itself, so that adapters, other layouts and quantised weights count as they
    act. The bias drops out of the difference. A dictionary's features write what it says.
    """
    projection = sites.projections[layer]
    if isinstance(projection, FeatureSite):
        return projection.written()[list(neurons)]
    parameter = next(projection.parameters())
    dtype = parameter.dtype if parameter.dtype.is_floating_point else torch.float16
    units = torch.zeros(
        len(neurons) + 1, sites.n_units * sites.channels, dtype=dtype, device=parameter.device
    )
    units[torch.arange(len(neurons)), torch.tensor(neurons, dtype=torch.long)] = 1.0
    written: torch.Tensor = projection(units)
    return written[:-1] - written[-1:]


def column_norms(sites: Sites, layer: int) -> torch.Tensor:
    """Length of what each unit of a layer writes per unit of its strength, `[n_units]`, float64, on
    the CPU; of a head, the root mean square over the directions that its output may have."""
    width = sites.n_units * sites.channels
    parts = [
        output_columns(sites, layer, range(start, min(start + _CHUNK, width)))
        for start in range(0, width, _CHUNK)
    ]
    squares = torch.cat([part.cpu().double().square().sum(dim=-1).reshape(-1) for part in parts])
    return (sites.summed(squares) / sites.channels).sqrt()
