"""What is done to activations: an affine map on chosen neurons of one layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from sna_eval.errors import InputError

Positions = Literal["all", "last", "continuation"]
"""Which tokens an intervention touches.

`all`: every token. `last`: the last context token, the one that predicts the first new token.
`continuation`: that one and every token after it.
"""


@dataclass(frozen=True)
class Intervention:
    """`a[t, i] <- multiplier * a[t, i]` for the chosen neurons `i` of one layer."""

    layer: int
    """Block index, from 0."""
    neurons: tuple[int, ...]
    """Neuron indices; empty means that nothing changes."""
    multiplier: float = 1.0
    """Factor; 1 changes nothing."""
    positions: Positions = "all"
    """Tokens it touches."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.multiplier):
            raise InputError(
                "multiplier",
                expected="a finite number",
                got=self.multiplier,
                hint="give a factor such as 2.5",
            )
        if len(set(self.neurons)) != len(self.neurons):
            raise InputError("neurons", expected="distinct indices", got=list(self.neurons))
        if self.positions not in get_args(Positions):
            raise InputError(
                "positions", expected=f"one of {', '.join(get_args(Positions))}", got=self.positions
            )

    @property
    def changes_nothing(self) -> bool:
        return self.multiplier == 1.0 or not self.neurons

    def transform(self, activations: torch.Tensor) -> torch.Tensor:
        """Applies the map everywhere.

        **Arguments:**

        - `activations`: `[..., d_mlp]`.

        **Returns:** a new tensor of the same shape and dtype.
        """
        index = torch.tensor(self.neurons, device=activations.device)
        chosen = activations.index_select(-1, index) * self.multiplier
        return activations.index_copy(-1, index, chosen)
