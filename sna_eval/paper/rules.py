"""When a published figure counts as reproduced: rules fixed beforehand, one a kind of statement.

- a figure: the measured one has its sign and at least half its size;
- a ceiling: nothing measured lies above it;
- a range: everything measured lies inside it;
- a slope on the baseline: its whole 95 % interval has the published sign. Correlations of baselines
  with improvements in percent have their sign by construction, and are not judged.

Whatever rests on the choice of neurons must also do what a placebo does not: the same protocol with
random rankings in the place of the paper's (Hewitt and Liang 2019, arXiv:1909.03368). Where one of
the placebos passes the same rule, the figure is `no more than a placebo`; where none was run, it is
not tested.

What needs another model, or items, tasks or zones that were not run or hold nothing, is `not
tested`: each rule asks for the cells it rests on, and where one is empty nothing is reproduced.
What says nothing about amplification, or is true by construction, is shown and `not judged`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Verdict = Literal[
    "reproduced", "no more than a placebo", "not reproduced", "not tested", "not judged"
]
Subject = Literal["neurons", "model"]
"""What a statement is about: the choice of neurons, which a placebo makes at random, or the
unmodified model, which is the same under a placebo."""


@dataclass(frozen=True)
class Claim:
    """One published figure."""

    statement: str
    published: str
    measured: str
    verdict: Verdict
    about: Subject = "neurons"
    placebo: str = ""
    """What random rankings gave, one after the other."""


Cell = float | None
"""A measured number; `None` or NaN where there was nothing to measure."""


def judged(cells: Sequence[Cell], rule: Callable[[Sequence[float]], bool]) -> Verdict:
    """The verdict of a rule on the cells it rests on; not tested where one is empty, or all are."""
    known = [cell for cell in cells if cell is not None and not math.isnan(cell)]
    if not known or len(known) < len(cells):
        return "not tested"
    return "reproduced" if rule(known) else "not reproduced"


def figure(value: Cell, published: float) -> Verdict:
    """Same sign, at least half the size."""
    return judged(
        [value],
        lambda measured: measured[0] * published > 0 and abs(measured[0]) >= abs(published) / 2,
    )


def ceiling(values: Sequence[Cell], published: float) -> Verdict:
    """Nothing above it."""
    return judged(values, lambda measured: max(measured) <= published)


def within(values: Sequence[Cell], low: float, high: float) -> Verdict:
    """Everything inside the range."""
    return judged(values, lambda measured: low <= min(measured) and max(measured) <= high)


def percent(value: float, *, of: str = "") -> str:
    """A change in percent, as claims show it."""
    return "not run" if math.isnan(value) else f"{value:+.2f} %{of and f' of {of}'}"


def only_for(claim: Claim, holds: bool) -> Claim:
    """A claim about one model, untested on another; what was measured still shows."""
    return claim if holds else replace(claim, verdict="not tested")


def unjudged(claim: Claim) -> Claim:
    """A figure that is no evidence for amplification, whatever it is."""
    return replace(claim, verdict="not judged")


def of_model(claim: Claim) -> Claim:
    """A figure of the unmodified model."""
    return replace(claim, about="model")


def beside_placebos(found: Sequence[Claim], placebos: Sequence[Sequence[Claim]]) -> list[Claim]:
    """Claims with what random rankings gave, and verdicts that a placebo cannot earn.

    **Arguments:**

    - `placebos`: the same claims of every run with random rankings.
    """
    by_statement = [{claim.statement: claim for claim in placebo} for placebo in placebos]
    return [
        _beside(
            claim, [claims[claim.statement] for claims in by_statement if claim.statement in claims]
        )
        for claim in found
    ]


def _beside(claim: Claim, placebos: Sequence[Claim]) -> Claim:
    if claim.about == "model":
        return replace(claim, placebo="the same model")
    seen = "; ".join(placebo.measured for placebo in placebos)
    beside = replace(claim, placebo=seen or "not run")
    if claim.verdict != "reproduced":
        return beside
    known = [placebo.verdict for placebo in placebos if placebo.verdict != "not tested"]
    if not known:
        return replace(beside, verdict="not tested")
    return replace(beside, verdict="no more than a placebo") if "reproduced" in known else beside
