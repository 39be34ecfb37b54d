"""What is done to a model in one layer: how many of its ranked neurons, how much, towards whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sna_eval.directions import BOTH, follows_answer
from sna_eval.neurons import Selected
from sna_eval.plan import PlannedIntervention, Provenance


@dataclass(frozen=True)
class Configuration:
    """One cell of a grid."""

    layer: int
    n_neurons: int
    """How many of the ranked neurons; per label where neurons belong to labels."""
    multiplier: float
    direction: str = BOTH
    """Whose neurons: `both`, `predicted`, `gold` or a label's name."""

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Configuration:
        """The one that a row of a sweep's store is about."""
        return cls(row["layer"], row["n_neurons"], row["multiplier"], row["direction"])

    @classmethod
    def of_entry(cls, entry: PlannedIntervention) -> Configuration:
        """The one that a plan's intervention is."""
        return cls(entry.layer, entry.n_neurons, entry.multiplier, entry.direction)

    def planned(
        self, chosen: Mapping[str, Selected], found: Mapping[str, Any]
    ) -> PlannedIntervention:
        """It as a resolved plan's intervention.

        **Arguments:**

        - `chosen`: its neurons by label.
        - `found`: how they were found.
        """
        return PlannedIntervention(
            layer=self.layer,
            multiplier=self.multiplier,
            unit=found.get("unit", "mlp"),
            direction=self.direction,
            allow_oracle=self.oracle,
            neurons={label: selected.neurons for label, selected in chosen.items()},
            scores={label: selected.scores for label, selected in chosen.items()},
            found=Provenance.of(found),
        )

    @property
    def oracle(self) -> bool:
        """Whether the direction follows the right answer."""
        return follows_answer(self.direction)

    @property
    def label(self) -> str:
        """In words; directions other than `both` are named, and oracles marked."""
        words = f"layer {self.layer}, {self.n_neurons} neurons, x{self.multiplier:g}"
        towards = "" if self.direction == BOTH else f", {self.direction}"
        return words + towards + (" (oracle)" if self.oracle else "")
