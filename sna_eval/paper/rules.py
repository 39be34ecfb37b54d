"""When a published figure counts as confirmed: rules fixed beforehand, one a kind of statement.

- a figure: confirmed where the measured one has its sign and at least half its size;
- a ceiling: confirmed where nothing measured lies above it;
- a range: confirmed where everything measured lies inside it;
- a correlation: confirmed where its whole 95 % interval has the published sign, *and* it is further
  out than its null, which keeps the shared denominator, with p < 0.05;
- a share: confirmed where its 95 % interval holds the published one and random rankings give less
  than was measured.

What needs another model, or items, tasks or zones that were not run or hold nothing, is `not
tested`: each rule asks for the cells it rests on, and where one is empty nothing is confirmed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Verdict = Literal["confirmed", "not confirmed", "not tested"]


@dataclass(frozen=True)
class Claim:
    """One published figure."""

    statement: str
    published: str
    measured: str
    verdict: Verdict


Cell = float | None
"""A measured number; `None` or NaN where there was nothing to measure."""


def judged(cells: Sequence[Cell], rule: Callable[[Sequence[float]], bool]) -> Verdict:
    """The verdict of a rule on the cells it rests on; not tested where one is empty, or all are."""
    known = [cell for cell in cells if cell is not None and not math.isnan(cell)]
    if not known or len(known) < len(cells):
        return "not tested"
    return "confirmed" if rule(known) else "not confirmed"


def figure(value: Cell, published: float) -> Verdict:
    """Same sign, at least half the size."""
    return judged([value], lambda own: own[0] * published > 0 and abs(own[0]) >= abs(published) / 2)


def ceiling(values: Sequence[Cell], published: float) -> Verdict:
    """Nothing above it."""
    return judged(values, lambda own: max(own) <= published)


def within(values: Sequence[Cell], low: float, high: float) -> Verdict:
    """Everything inside the range."""
    return judged(values, lambda own: low <= min(own) and max(own) <= high)


def percent(value: float, *, of: str = "") -> str:
    """A change in percent, as claims show it."""
    return "not run" if math.isnan(value) else f"{value:+.2f} %{of and f' of {of}'}"


def only_for(claim: Claim, holds: bool) -> Claim:
    """A claim about one model, untested on another; what was measured still shows."""
    return claim if holds else replace(claim, verdict="not tested")
