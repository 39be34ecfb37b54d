"""Published figures of Akhtar (2026), arXiv:2604.07098v2, beside measured ones.

Each is judged by the rules of `sna_eval.paper.rules`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sna_eval.paper.across import correlations, shares, zones
from sna_eval.paper.classification import classification
from sna_eval.paper.evidence import ProtocolEvidence
from sna_eval.paper.interfering import interference
from sna_eval.paper.layers import layers, pythia
from sna_eval.paper.rules import Claim

HEADINGS = ("statement", "published", "measured", "placebo", "verdict")


def claims(found: ProtocolEvidence) -> list[Claim]:
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
    return tuple(
        (claim.statement, claim.published, claim.measured, claim.placebo, claim.verdict)
        for claim in found
    )


def as_markdown(found: Sequence[Claim]) -> str:
    """A table."""
    return markdown_table([HEADINGS, *as_rows(found)])


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Rows of cells as Markdown, the first one as headings."""
    first, *rows = lines
    every = [first, ("---",) * len(first), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in every) + "\n"
