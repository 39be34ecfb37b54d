"""The three-zone gate: amplify where the unmodified model is uncertain.

Zones after Akhtar (2026), arXiv:2604.07098, sections 4 and 6: zone 1 lies below `low` (uncertain),
zone 3 above `high` (saturated), zone 2 between. The paper uses 0.07 and 0.10 on the probability of
the target token, which needs the right answer, and 0.30 and 0.60 on the margin between labels,
which does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from sna_eval.errors import InputError

Signal = Literal["target_prob", "margin", "max_prob", "entropy"]
"""How confidence is measured; see `sna_eval.gating.signals`."""
Mode = Literal["confidence", "always", "never"]
"""`confidence` follows the signal; `always` amplifies every item, `never` none."""
Transition = Literal["leave", "amplify"]
"""What happens in zone 2."""
Zone = Literal[1, 2, 3]

PAPER_BOUNDS: dict[Signal, tuple[float, float]] = {
    "target_prob": (0.07, 0.10),
    "margin": (0.30, 0.60),
    "max_prob": (0.30, 0.60),
    "entropy": (0.30, 0.60),
}
"""`(low, high)` where a plan names none: the paper's two, the margin's for other signals."""


@dataclass(frozen=True)
class Decision:
    """What a gate says about one item."""

    zone: Zone
    confidence: float
    amplified: bool


@dataclass(frozen=True)
class Gate:
    """Decides per item, from the unmodified model's confidence, whether to amplify."""

    signal: Signal = "target_prob"
    """Confidence signal, in [0, 1]."""
    low: float = 0.07
    """Zone 1 lies below it."""
    high: float = 0.10
    """Zone 3 lies above it."""
    transition: Transition = "leave"
    """What to do in zone 2."""
    mode: Mode = "confidence"
    """`always` and `never` still report zones, by a signal that the item has."""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("gate.signal", self.signal, get_args(Signal)),
            ("gate.transition", self.transition, get_args(Transition)),
            ("gate.mode", self.mode, get_args(Mode)),
        ):
            if value not in allowed:
                raise InputError(name, expected=f"one of {', '.join(allowed)}", got=value)
        for name, bound in (("gate.low", self.low), ("gate.high", self.high)):
            if not math.isfinite(bound):
                raise InputError(name, expected="a finite number", got=bound)
        if self.low > self.high:
            raise InputError(
                "gate.low",
                expected=f"at most gate.high = {self.high}",
                got=self.low,
                hint="swap the two: zone 1 lies below low, zone 3 above high",
            )

    @property
    def sees_answer(self) -> bool:
        """Whether the decision depends on the right answer."""
        return self.mode == "confidence" and self.signal == "target_prob"

    def with_zones_by(self, signal: Signal) -> Gate:
        """The same gate with another signal and the bounds that come with it."""
        low, high = PAPER_BOUNDS[signal]
        return replace(self, signal=signal, low=low, high=high)

    def zone(self, confidence: float) -> Zone:
        """Zone of an item with this confidence."""
        if confidence < self.low:
            return 1
        return 3 if confidence > self.high else 2

    def opens(self, confidence: float) -> bool:
        """Whether an item with this confidence is amplified."""
        if self.mode != "confidence":
            return self.mode == "always"
        zone = self.zone(confidence)
        return zone == 1 or (zone == 2 and self.transition == "amplify")

    def decide(self, confidence: float) -> Decision:
        """Zone and decision of an item with this confidence."""
        return Decision(self.zone(confidence), confidence, self.opens(confidence))


def ungated(gate: Gate) -> Gate:
    """The same gate, always open."""
    return replace(gate, mode="always")
