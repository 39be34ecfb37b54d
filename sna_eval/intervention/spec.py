"""What is done to activations: affine maps, each at one site of one layer, at some positions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, get_args

import torch

from sna_eval.errors import InputError

if TYPE_CHECKING:
    from sna_eval.intervention.sites import Sites

Positions = Literal["all", "last", "continuation"]
"""Which tokens an intervention touches.

`all`: every token. `last`: the last context token, the one that predicts the first new token.
`continuation`: that one and every token after it.
"""

Unit = Literal["mlp", "head", "feature"]
"""What is chosen and amplified: a neuron of the MLP, an attention head, or a feature.

A head's activation is what enters the attention's output projection for it, `[..., d_head]`:
TransformerLens' `hook_z`. Where query heads share keys and values, a unit is a query head. A
feature is one of a sparse dictionary that describes a state of the model: `intervention.features`.
"""

Site = Literal["neurons", "heads", "features", "attention", "mlp", "block", "logits"]
"""Where an intervention acts.

`neurons`: what enters the MLP's output projection, `[..., d_mlp]`. `heads`: what enters the
attention's, `[..., n_heads * d_head]`. `features`: how strongly a dictionary's are active,
`[..., n_features]`. `attention`, `mlp`: what the output projection of that component writes,
`[..., d_model]`. `block`: the residual stream as it
leaves the block, `[..., d_model]`. `logits`: what the model answers, `[..., vocabulary]`.
"""


_SITES: dict[Unit, Site] = {"mlp": "neurons", "head": "heads", "feature": "features"}


class Affine(Protocol):
    """An affine map `x <- A x + b` of what passes one site; hashable, and a value."""

    @property
    def layer(self) -> int:
        """Block index, from 0; a pass may resume there."""

    @property
    def site(self) -> Site:
        """Where in the block it acts."""

    @property
    def positions(self) -> Positions:
        """Tokens it touches."""

    @property
    def token(self) -> int | None:
        """The one token of the text it touches, from 0; `None`: those of `positions`."""

    @property
    def changes_nothing(self) -> bool:
        """Whether it is the identity; it is then left out, so results stay equal to the bit."""

    def check(self, sites: Sites) -> None:
        """Raises `InputError` where the model has no such site."""

    def transform(self, values: torch.Tensor) -> torch.Tensor:
        """The map at every position: a new tensor of the same shape and dtype."""


def acts_everywhere(intervention: Affine) -> bool:
    """Whether an intervention touches every token."""
    return intervention.positions == "all" and intervention.token is None


def check_positions(positions: str) -> None:
    """Raises `InputError` unless `positions` is one of `Positions`."""
    if positions not in get_args(Positions):
        raise InputError(
            "positions", expected=f"one of {', '.join(get_args(Positions))}", got=positions
        )


def check_unit(unit: str) -> None:
    """Raises `InputError` unless `unit` is one of `Unit`."""
    if unit not in get_args(Unit):
        raise InputError("unit", expected=f"one of {', '.join(get_args(Unit))}", got=unit)


def check_finite(name: str, value: float) -> None:
    """Raises `InputError` unless `value` is a finite number."""
    if not math.isfinite(value):
        raise InputError(
            name, expected="a finite number", got=value, hint="give a factor such as 2.5"
        )


@dataclass(frozen=True)
class Intervention:
    """`a[t, i] <- multiplier * a[t, i]` for chosen neurons, heads or features `i` of one layer."""

    layer: int
    """Block index, from 0."""
    neurons: tuple[int, ...]
    """Indices of neurons, heads or features; empty means that nothing changes."""
    multiplier: float = 1.0
    """Factor; 1 changes nothing."""
    positions: Positions = "all"
    """Tokens it touches."""
    unit: Unit = "mlp"
    """What the indices count."""
    token: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_finite("multiplier", self.multiplier)
        if len(set(self.neurons)) != len(self.neurons):
            raise InputError("neurons", expected="distinct indices", got=list(self.neurons))
        check_positions(self.positions)
        check_unit(self.unit)

    @property
    def site(self) -> Site:
        return _SITES[self.unit]

    @property
    def changes_nothing(self) -> bool:
        return self.multiplier == 1.0 or not self.neurons

    def check(self, sites: Sites) -> None:
        sites = sites.of(self.unit)
        sites.check_layer(self.layer)
        sites.check_neurons(self.neurons)

    def transform(self, values: torch.Tensor) -> torch.Tensor:
        """Applies the map everywhere.

        The indices must be those of the last axis: of a head, those of its channels
        (`Sites.by_channel`).

        **Arguments:**

        - `values`: activations, `[..., d_mlp]`.

        **Returns:** a new tensor of the same shape and dtype.
        """
        index = torch.tensor(self.neurons, dtype=torch.long, device=values.device)
        chosen = values.index_select(-1, index) * self.multiplier
        return values.index_copy(-1, index, chosen)


def acting(
    intervention: Affine, position: torch.Tensor, last: torch.Tensor | int
) -> torch.Tensor | None:
    """Where an intervention acts: bool, in the shape of `position`; `None` for everywhere.

    **Arguments:**

    - `position`: each position's place in its own text, from 0, `[batch or 1, position]`.
    - `last`: place of each text's last context token, `[batch, 1]` or one for all.
    """
    if intervention.token is not None:
        return (position == intervention.token) & (position <= last)
    if intervention.positions == "all":
        return None
    return position == last if intervention.positions == "last" else position >= last
