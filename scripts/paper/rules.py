"""When a published figure counts as confirmed: rules fixed beforehand, one a kind of statement.

- a figure: confirmed where the measured one has its sign and at least half its size;
- a ceiling: confirmed where nothing measured lies above it;
- a range: confirmed where everything measured lies inside it;
- a correlation: confirmed where its whole 95 % interval has the published sign, *and* it is further
  out than its null, which keeps the shared denominator, with p < 0.05;
- a share: confirmed where its 95 % interval holds the published one and random rankings give less
  than was measured.

What needs another model, or items that were not run, is `not tested`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def said(holds: bool) -> Verdict:
    """The verdict on what was tested."""
    return "confirmed" if holds else "not confirmed"


def figure(value: float, published: float) -> Verdict:
    """Same sign, at least half the size; not tested where there is none."""
    if math.isnan(value):
        return "not tested"
    return said(value * published > 0 and abs(value) >= abs(published) / 2)


def ceiling(values: Sequence[float], published: float) -> Verdict:
    """Nothing above it; not tested without values."""
    return said(max(values) <= published) if values else "not tested"


def within(values: Sequence[float], low: float, high: float) -> Verdict:
    """Everything inside the range; not tested without values."""
    return said(low <= min(values) and max(values) <= high) if values else "not tested"


def only_for(claim: Claim, holds: bool) -> Claim:
    """A claim about one model, untested on another; what was measured still shows."""
    return claim if holds else replace(claim, verdict="not tested")
