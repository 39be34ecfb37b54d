"""Interventions other than one factor on chosen neurons: per-neuron factors, outputs, vectors.

The numbers they carry are immutable, and equal where their bytes are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from sna_eval.errors import InputError
from sna_eval.intervention.spec import Positions, Site, check_finite, check_positions

if TYPE_CHECKING:
    from sna_eval.intervention.sites import Sites


@dataclass(frozen=True, eq=False)
class Vector:
    """A vector in float32, on the CPU."""

    values: torch.Tensor
    """`[n]`; whoever made it must not write to it."""

    def __post_init__(self) -> None:
        values = self.values.detach().to("cpu", torch.float32).contiguous()
        if values.dim() != 1 or not bool(values.isfinite().all()):
            raise InputError(
                "parameters", expected="a list of finite numbers", got=f"shape {list(values.shape)}"
            )
        object.__setattr__(self, "values", values)

    @classmethod
    def of(cls, numbers: Iterable[float]) -> Vector:
        return cls(torch.tensor([float(number) for number in numbers], dtype=torch.float32))

    @cached_property
    def sha256(self) -> str:
        """Hash of the numbers' bytes, little-endian."""
        return hashlib.sha256(self.values.numpy().astype("<f4").tobytes()).hexdigest()

    def __len__(self) -> int:
        return int(self.values.numel())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def beside(self, other: torch.Tensor) -> torch.Tensor:
        """The numbers on the device of `other` and in its dtype, but in float32 at least: what is
        made of both is then rounded once."""
        return self.values.to(other.device, torch.promote_types(other.dtype, torch.float32))

    def tolist(self) -> list[float]:
        return [float(number) for number in self.values]


Component = Literal["attention", "mlp"]
Place = Literal["block", "attention", "mlp"]
"""Whose output is changed: the residual stream's as it leaves a block, or a component's share."""
Action = Literal["add", "clamp"]
"""As lm_eval's `steered` calls them: an addition, or a state's part along a direction set."""


@dataclass(frozen=True)
class NeuronScaling:
    """`a[t, i] <- (1 + strength * (factors[i] - 1)) * a[t, i]` for all neurons of one layer."""

    layer: int
    factors: Vector
    """One factor per neuron, `[d_mlp]`."""
    strength: float = 1.0
    """1 applies the factors as they are, 0 changes nothing."""
    positions: Positions = "all"
    site: ClassVar[Site] = "neurons"
    token: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_finite("strength", self.strength)
        check_positions(self.positions)

    @property
    def changes_nothing(self) -> bool:
        return self.strength == 0.0 or bool((self.factors.values == 1.0).all())

    def check(self, sites: Sites) -> None:
        sites = sites.of("mlp")
        sites.check_layer(self.layer)
        check_width("factors", self.factors, sites.d_mlp)

    def transform(self, values: torch.Tensor) -> torch.Tensor:
        """`values`: activations, `[..., d_mlp]`."""
        factors = 1 + self.strength * (self.factors.beside(values) - 1)
        return (values * factors).to(values.dtype)


@dataclass(frozen=True)
class OutputScaling:
    """`o[t] <- factor * o[t]` for what one component of a block adds to the residual stream."""

    layer: int
    component: Component
    factor: float = 1.0
    """1 changes nothing."""
    positions: Positions = "all"
    token: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_finite("factor", self.factor)
        check_positions(self.positions)

    @property
    def site(self) -> Site:
        return self.component

    @property
    def changes_nothing(self) -> bool:
        return self.factor == 1.0

    def check(self, sites: Sites) -> None:
        check_place(self.layer, self.component, sites)

    def transform(self, values: torch.Tensor) -> torch.Tensor:
        """`values`: the component's share, `[..., d_model]`."""
        return values * self.factor


@dataclass(frozen=True)
class Addition:
    """`h[t] <- h[t] + strength * vector` in the residual stream, or in what a component adds."""

    layer: int
    vector: Vector
    """`[d_model]`."""
    strength: float = 1.0
    """0 changes nothing."""
    positions: Positions = "all"
    token: int | None = None
    """The one token of the text it touches, from 0; `None`: those of `positions`."""
    site: Place = "block"
    """Where in the block: the stream as it leaves it, or what a component writes."""

    def __post_init__(self) -> None:
        check_finite("strength", self.strength)
        check_positions(self.positions)

    @property
    def changes_nothing(self) -> bool:
        return self.strength == 0.0 or not bool(self.vector.values.any())

    def check(self, sites: Sites) -> None:
        check_place(self.layer, self.site, sites)
        check_width("vector", self.vector, sites.d_model)

    def transform(self, values: torch.Tensor) -> torch.Tensor:
        """`values`: the residual stream, or a component's share, `[..., d_model]`."""
        return (values + self.strength * self.vector.beside(values)).to(values.dtype)


@dataclass(frozen=True)
class Clamping:
    """`h[t] <- h[t] + strength * (value - direction . (h[t] - bias)) * direction`.

    At strength 1 the part of `h - bias` along the direction is then `value`.
    """

    layer: int
    direction: Vector
    """Of length 1, `[d_model]`."""
    value: float
    bias: Vector | None = None
    """`[d_model]`; `None`: zeros."""
    strength: float = 1.0
    """0 changes nothing."""
    positions: Positions = "all"
    token: ClassVar[int | None] = None
    site: Place = "block"

    def __post_init__(self) -> None:
        check_finite("strength", self.strength)
        check_finite("value", self.value)
        check_positions(self.positions)

    @property
    def changes_nothing(self) -> bool:
        return self.strength == 0.0

    def check(self, sites: Sites) -> None:
        check_place(self.layer, self.site, sites)
        check_width("direction", self.direction, sites.d_model)
        if self.bias is not None:
            check_width("bias", self.bias, sites.d_model)

    def transform(self, values: torch.Tensor) -> torch.Tensor:
        """`values`: as for `Addition`."""
        direction = self.direction.beside(values)
        shifted = values.to(direction.dtype)
        if self.bias is not None:
            shifted = shifted - self.bias.beside(values)
        missing = self.value - (shifted * direction).sum(dim=-1, keepdim=True)
        return (values + self.strength * missing * direction).to(values.dtype)


@dataclass(frozen=True)
class LogitScaling:
    """`z <- z / temperature` for all logits of a text."""

    layer: int
    """Where a pass may resume; any block will do, the last is cheapest."""
    temperature: float = 1.0
    """Above 1 flattens the distribution, below 1 sharpens it, 1 changes nothing."""
    positions: ClassVar[Positions] = "all"
    site: ClassVar[Site] = "logits"
    token: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_finite("temperature", self.temperature)
        if self.temperature <= 0:
            raise InputError("temperature", expected="a number above 0", got=self.temperature)

    @property
    def changes_nothing(self) -> bool:
        return self.temperature == 1.0

    def check(self, sites: Sites) -> None:
        check_block(self.layer, sites)

    def transform(self, values: torch.Tensor) -> torch.Tensor:
        """`values`: logits, `[..., vocabulary]`."""
        return values / self.temperature


def check_block(layer: int, sites: Sites) -> None:
    """Raises `InputError` unless the block exists, whether or not it has neurons to choose from."""
    if not 0 <= layer < sites.n_layers:
        sites.check_layer(layer)


def check_place(layer: int, place: Place, sites: Sites) -> None:
    """Raises `InputError` unless the block exists, and what a component of it writes is known."""
    check_block(layer, sites)
    if place != "block" and not (
        sites.attention_outputs if place == "attention" else sites.mlp_outputs
    ):
        raise InputError(
            "component", expected=f"one whose output is known ({sites.architecture})", got=place
        )


def check_width(field: str, vector: Vector, width: int) -> None:
    """Raises `InputError` unless a vector fits the site it is for."""
    if len(vector) != width:
        raise InputError(
            field, expected=f"{width} numbers, as the loaded model has", got=len(vector),
            hint="load the model that the plan was made for",
        )  # fmt: skip
