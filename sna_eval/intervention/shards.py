"""Neurons under tensor parallelism, where each process computes a part of every layer's.

transformers divides an output projection by its inputs, so what enters it in one process is a slice
of the activations; a neuron's index in that slice is its index in the layer less the slice's start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.spec import Affine, Intervention


@dataclass(frozen=True, eq=False)
class Shard:
    """The slice of a layer's neurons whose activations this process computes."""

    start: int
    stop: int
    d_mlp: int
    """Neurons in the layer."""
    group: Any
    """The processes that hold the layer together."""

    def transform(self, intervention: Affine, values: torch.Tensor) -> torch.Tensor:
        """An intervention on this slice, `[..., neurons of the slice]`."""
        if isinstance(intervention, Intervention):
            inside = [i - self.start for i in intervention.neurons if self.start <= i < self.stop]
            part = replace(intervention, neurons=tuple(inside))
            return values if part.changes_nothing else part.transform(values)
        changed = intervention.transform(self.whole(values))  # a map may mix the slices
        return changed[..., self.start : self.stop].contiguous()

    def whole(self, values: torch.Tensor) -> torch.Tensor:
        """The layer's activations, `[..., d_mlp]`, from every process's slice."""
        size = torch.distributed.get_world_size(self.group)
        longest = -(-self.d_mlp // size)
        padded = nn.functional.pad(values, (0, longest - values.shape[-1])).contiguous()
        slices = [torch.empty_like(padded) for _ in range(size)]
        torch.distributed.all_gather(slices, padded, group=self.group)
        return torch.cat(slices, dim=-1)[..., : self.d_mlp]


def shard_of(projection: nn.Module, values: torch.Tensor, *, channels: int = 1) -> Shard | None:
    """The slice that an output projection is given; `None` where it is the whole layer.

    **Arguments:**

    - `values`: what enters the projection, `[..., neurons]`, or a number per unit of these.
    - `channels`: of a unit; processes divide attention by whole heads.
    """
    module: Any = getattr(projection, "base_layer", projection)
    weight = getattr(module, "weight", None)
    mesh = getattr(weight, "device_mesh", None)  # a DTensor's
    if mesh is None or values.shape[-1] * channels == module.in_features:
        return None
    d_mlp = int(module.in_features) // channels
    longest = -(-d_mlp // mesh.size())
    start = min(mesh.get_local_rank() * longest, d_mlp)
    stop = min(start + longest, d_mlp)
    assert values.shape[-1] == stop - start, "a slice of another length than its weights"
    return Shard(start, stop, d_mlp, mesh.get_group())


def whole_layer(projection: nn.Module, values: torch.Tensor, channels: int = 1) -> torch.Tensor:
    """One value per unit of a layer, `[..., n_units]`, from those of this process's units."""
    shard = shard_of(projection, values, channels=channels)
    return values if shard is None else shard.whole(values)
