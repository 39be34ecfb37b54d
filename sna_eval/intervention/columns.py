"""What neurons write into the stream, asked of the module that writes it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sna_eval.intervention.sites import Sites

_CHUNK = 1024  # neurons whose columns are held at once


@torch.no_grad()
def output_columns(sites: Sites, layer: int, neurons: Sequence[int]) -> torch.Tensor:
    """What a layer's projection writes per unit of each neuron, `[neuron, d_model]`.

    Asked of the module itself, so that adapters, other layouts and quantised weights count as they
    act. The bias drops out of the difference.
    """
    projection = sites.projections[layer]
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
