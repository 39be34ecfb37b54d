"""What is done to a model in one layer, and the grid of it: layers, counts, multipliers.

A grid is a full factorial, so that what is said about consistency rests on all of it and not on a
choice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from sna_eval.errors import InputError
from sna_eval.intervention import Sites, Unit
from sna_eval.intervention.sites import UNITS
from sna_eval.neurons import Selected
from sna_eval.plan import PlannedIntervention, Provenance
from sna_eval.plan.applying import BOTH, GOLD, PREDICTED, follows_answer
from sna_eval.typed import Json


@dataclass(frozen=True)
class Configuration:
    """One cell of a grid."""

    layer: int
    n_neurons: int
    """How many of the ranked neurons; per label where neurons belong to labels."""
    multiplier: float
    direction: str = BOTH
    """Whose neurons: `both`, `predicted`, `gold` or a label's name."""
    unit: Unit = field(default="mlp", compare=False)
    """What is counted; one for all of a sweep."""

    @classmethod
    def of_row(cls, row: Json) -> Configuration:
        """The one that a row of a sweep's store is about."""
        unit = json.loads(row.get("found") or "{}").get("unit", "mlp")
        return cls(row["layer"], row["n_neurons"], row["multiplier"], row["direction"], unit)

    @classmethod
    def of_entry(cls, entry: PlannedIntervention) -> Configuration:
        """The one that a plan's intervention is."""
        return cls(
            entry.layer, entry.n_neurons, entry.multiplier, entry.direction, entry.unit
        )  # fmt: skip

    def planned(self, chosen: Mapping[str, Selected], found: Provenance) -> PlannedIntervention:
        """It as a resolved plan's intervention.

        **Arguments:**

        - `chosen`: its neurons by label.
        - `found`: how they were found.
        """
        return PlannedIntervention(
            layer=self.layer,
            multiplier=self.multiplier,
            unit=cast("Unit", found.unit or "mlp"),
            direction=self.direction,
            allow_oracle=self.oracle,
            neurons={label: selected.neurons for label, selected in chosen.items()},
            scores={label: selected.scores for label, selected in chosen.items()},
            found=found,
        )

    @property
    def oracle(self) -> bool:
        """Whether the direction follows the right answer."""
        return follows_answer(self.direction)

    @property
    def units(self) -> str:
        """What is counted, in words."""
        return UNITS[self.unit]

    @property
    def label(self) -> str:
        """In words; directions other than `both` are named, and oracles marked."""
        words = f"layer {self.layer}, {self.n_neurons} {self.units}, x{self.multiplier:g}"
        towards = "" if self.direction == BOTH else f", {self.direction}"
        return words + towards + (" (oracle)" if self.oracle else "")


PAPER_COUNTS = (3, 5, 8, 10, 15, 20, 25)
PAPER_MULTIPLIERS = (1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.2, 2.4)
"""Seven counts and twelve multipliers from 1.1 to 2.4 (Akhtar 2026, section 3.3)."""
LABEL_COUNTS = (5, 10, 15)
LABEL_MULTIPLIERS = (2.0, 4.0, 8.0, 12.0)
"""Three counts and four multipliers on five layers: 60 configurations, as many as section 6.2 has.

The paper names 10 neurons, layer 21 of 24 and multipliers up to 12; the rest of the grid is ours.
"""
HEAD_COUNTS = (1, 2, 4)
"""Counts of attention heads, of which a layer has few; ours."""
_LABEL_LAYERS_OF_24 = (5, 9, 13, 17, 21)


@dataclass(frozen=True)
class Grid:
    """The configurations of one task: the same ones at every layer."""

    layers: tuple[int, ...]
    n_neurons: tuple[int, ...] = PAPER_COUNTS
    multipliers: tuple[float, ...] = PAPER_MULTIPLIERS
    directions: tuple[str, ...] = (BOTH,)

    def __post_init__(self) -> None:
        for name in ("layers", "n_neurons", "multipliers", "directions"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise InputError(name, expected="one or more distinct values", got=values)
        for count in self.n_neurons:
            if count < 1:
                raise InputError("n_neurons", expected="counts of at least 1", got=count)
        for multiplier in self.multipliers:
            if not math.isfinite(multiplier):
                raise InputError("multipliers", expected="finite numbers", got=multiplier)

    def at(self, layer: int) -> tuple[Configuration, ...]:
        """A layer's configurations, in the order of the store."""
        return tuple(
            Configuration(layer, count, multiplier, direction)
            for direction in self.directions
            for count in self.n_neurons
            for multiplier in self.multipliers
        )

    @property
    def per_layer(self) -> int:
        """How many configurations a layer has."""
        return len(self.directions) * len(self.n_neurons) * len(self.multipliers)

    @property
    def largest_count(self) -> int:
        return max(self.n_neurons)

    def __len__(self) -> int:
        return len(self.layers) * self.per_layer

    def check(self, sites: Sites) -> None:
        """Raises `InputError` if a layer does not exist or has fewer neurons than asked for."""
        for layer in self.layers:
            sites.check_layer(layer, field="layers")
        if self.largest_count > sites.n_units:
            raise InputError(
                "n_neurons",
                expected=f"at most {sites.n_units}, the {sites.units} of a layer",
                got=self.largest_count,
            )


def label_layers(n_layers: int) -> tuple[int, ...]:
    """Five layers at the depths 5, 9, 13, 17 and 21 have in 24; fewer in a shallow model."""
    return tuple(dict.fromkeys(layer * n_layers // 24 for layer in _LABEL_LAYERS_OF_24))


def check_directions(
    directions: Sequence[str], labels: Sequence[str], *, allow_oracle: bool
) -> None:
    """Raises `InputError` unless every direction means something for these labels."""
    allowed = (BOTH, PREDICTED, GOLD, *labels) if labels else (BOTH,)
    for direction in directions:
        if direction not in allowed:
            raise InputError(
                "directions",
                expected=f"among {', '.join(allowed)}",
                got=direction,
                hint="" if labels else "these neurons belong to no label; use select=contrastive",
            )
        if follows_answer(direction) and not allow_oracle:
            raise InputError(
                "directions",
                expected="`both`, `predicted` or a label",
                got=direction,
                hint="`gold` amplifies the right answer's neurons; add --allow_oracle to see what "
                "an oracle would gain",
            )
