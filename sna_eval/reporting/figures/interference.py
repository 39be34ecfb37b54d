"""Interference: what each intervention does to each task, and to plain text."""

from __future__ import annotations

import numpy as np

from sna_eval.reporting.colours import short
from sna_eval.reporting.figures.marks import Axis, Cells, Drawing, Panel, relative, texts
from sna_eval.study.interference import PLAIN_TEXT, Interference

_ROOM = 200
"""Cells up to which each holds its number."""


def draw(found: Interference) -> Drawing:
    """Tasks on the left; perplexity of plain text, where a rise is a loss, on the right."""
    panels = (tasks(found), _text(found))
    across = len(panels[0].x.names)
    return Drawing(panels, 3.4 + 0.62 * across, 2.2 + 0.36 * len(found.interventions))


def tasks(found: Interference) -> Panel:
    """Every intervention on every task's items; framed: the task's own."""
    names = [name for name in found.subjects if name != PLAIN_TEXT]
    table = found.matrix()[:, [found.subjects.index(name) for name in names]]
    told = tuple(
        tuple(
            {"amplified for": short(row), "task": short(name), "change, %": effect.percent,
             "p": effect.p}
            for name in names
            for effect in (found.effect(row, name),)
        )
        for row in found.interventions
    )  # fmt: skip
    framed = [
        (row, names.index(name)) for row, name in enumerate(found.interventions) if name in names
    ]
    return Panel(
        Axis(names=tuple(map(short, names)), tilted=True),
        Axis("amplified for", tuple(map(short, found.interventions))),
        (Cells(relative(table), texts(table, shown=table.size <= _ROOM), told, tuple(framed)),),
        title="Change of P(target), %; framed: the task's own",
        width=max(2, len(names)),
    )


def _text(found: Interference) -> Panel:
    table = found.matrix()[:, [found.subjects.index(PLAIN_TEXT)]]
    told = tuple(
        ({"amplified for": short(name), "perplexity, %": float(value)},)
        for name, (value,) in zip(found.interventions, table, strict=True)
    )
    numbers = tuple((f"{value:+.2f}" if np.isfinite(value) else "",) for (value,) in table)
    return Panel(
        Axis(names=("plain text",)),
        Axis(names=("",) * len(table)),
        (Cells(-relative(table), numbers, told),),
        title="Perplexity, %",
    )
