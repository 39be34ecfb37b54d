"""Section 5.2: what amplifying one kind of task does to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sna_eval.paper.evidence import ProtocolEvidence
from sna_eval.paper.rules import Claim, ceiling, figure, percent
from sna_eval.study.interference import Interference
from sna_eval.study.summary import task_type


def interference(found: ProtocolEvidence) -> Iterator[Claim]:
    """Arithmetic and poetry, both ways."""
    on_poetry = _mean(_between(found.measured, "sna_math", "sna_poetry"))
    on_math = _between(found.measured, "sna_poetry", "sna_math")
    yield Claim(
        "amplifying arithmetic costs poetry",
        "-8 to -12 points",
        percent(on_poetry, of="P(target)"),
        figure(on_poetry, -8.0),
    )
    yield Claim(
        "amplifying poetry leaves arithmetic alone",
        "no meaningful change",
        f"{percent(_mean(on_math), of='P(target)')}{_spread(on_math)}",
        ceiling([abs(change) for change in on_math], 1.0),
    )


def _between(measured: Interference | None, first: str, second: str) -> list[float]:
    """Changes in percent of all pairs of tasks of two types."""
    effects = measured.effects if measured is not None else ()
    return [
        effect.percent
        for effect in effects
        if task_type(effect.intervention) == first and task_type(effect.subject) == second
    ]


def _mean(changes: Sequence[float]) -> float:
    return float(np.mean(changes)) if changes else float("nan")


def _spread(changes: Sequence[float]) -> str:
    return f", {min(changes):+.2f} to {max(changes):+.2f} by pair" if changes else ""
