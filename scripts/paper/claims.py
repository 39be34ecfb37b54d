"""Published figures of Akhtar (2026), arXiv:2604.07098, beside measured ones.

Each is confirmed, not confirmed or not tested by the rules of `paper.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence

from paper.across import correlations, shares, zones
from paper.classification import classification
from paper.evidence import Evidence
from paper.interfering import interference
from paper.layers import layers, pythia
from paper.rules import Claim

HEADINGS = ("statement", "published", "measured", "verdict")


def claims(found: Evidence) -> list[Claim]:
    """All of them, in the paper's order."""
    return [
        *correlations(found),
        *zones(found),
        *shares(found),
        *layers(found),
        *interference(found),
        *classification(found),
        *pythia(found),
    ]


def as_rows(found: Sequence[Claim]) -> tuple[tuple[str, ...], ...]:
    """The cells of a table under `HEADINGS`."""
    return tuple((own.statement, own.published, own.measured, own.verdict) for own in found)


def as_markdown(found: Sequence[Claim]) -> str:
    """A table."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *as_rows(found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
