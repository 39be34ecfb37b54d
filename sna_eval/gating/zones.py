"""The three-zone gate: amplify where the unmodified model is uncertain.

Zones after Akhtar (2026), arXiv:2604.07098, sections 4 and 6: zone 1 lies below `low` (uncertain),
zone 3 above `high` (saturated), zone 2 between. The paper uses 0.07 and 0.10 on the probability of
the target token, which needs the right answer, and 0.30 and 0.60 on the margin between labels,
which does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

from sna_eval.errors import InputError
from sna_eval.gating.signal import AnswerSignal, ConfidenceSignal
from sna_eval.gating.signals import SIGNALS

Signal = str
"""How confidence is measured: the name of one of `sna_eval.gating.signals`."""
Mode = Literal["confidence", "always", "never"]
"""`confidence` follows the signal; `always` amplifies every item, `never` none."""
Transition = Literal["leave", "amplify"]
"""What happens in zone 2."""
Zone = Literal[1, 2, 3]

DESCRIPTIVE = (
    "gains are descriptive: the gate looks at right answers, and items that it picks for an "
    "unlikely answer come back without help"
)
"""What has to stand beside a gain behind a gate that `sees_answer`. It is regression to the mean
(Oldham 1962, doi:10.1016/0021-9681(62)90116-9; Tu and Gilthorpe 2007, doi:10.1002/sim.2506)."""

_PAPER = SIGNALS.first(AnswerSignal)


@dataclass(frozen=True)
class Decision:
    """What a gate says about one item."""

    zone: Zone
    confidence: float
    amplified: bool


@dataclass(frozen=True)
class Gate:
    """Decides per item, from the unmodified model's confidence, whether to amplify."""

    signal: Signal = _PAPER.name
    """Confidence signal, in [0, 1]."""
    low: float = _PAPER.low
    """Zone 1 lies below it."""
    high: float = _PAPER.high
    """Zone 3 lies above it."""
    transition: Transition = "leave"
    """What to do in zone 2."""
    mode: Mode = "confidence"
    """`always` and `never` still report zones, by a signal that the item has."""

    def __post_init__(self) -> None:
        _ = self.measured_by  # there is one of that name
        for name, value, allowed in (
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
        return self.mode == "confidence" and self.measured_by.sees_answer

    @cached_property
    def measured_by(self) -> ConfidenceSignal:
        """The signal."""
        return SIGNALS.find(self.signal)

    @classmethod
    def by(
        cls, signal: ConfidenceSignal, *, transition: Transition = "leave",
        mode: Mode = "confidence",
    ) -> Gate:  # fmt: skip
        """A gate on a signal, with the bounds that come with it."""
        return cls(signal.name, signal.low, signal.high, transition, mode)

    def with_zones_by(self, signal: ConfidenceSignal) -> Gate:
        """The same gate with another signal and the bounds that come with it."""
        return replace(self, signal=signal.name, low=signal.low, high=signal.high)

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
