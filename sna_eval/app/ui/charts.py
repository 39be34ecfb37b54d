"""Interactive charts of a question's map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from sna_eval.app.core.mapping import Cell
from sna_eval.app.ui.look import LINE
from sna_eval.reporting.colours import GAIN, INK, LOSS, NOTHING

CELL = "cell"
"""The name of the map's selection."""
SVG = {"embedOptions": {"renderer": "svg", "actions": False}}
"""Drawn as SVG: sharp at any size, and its cells can be reached by name."""


def cell_map(cells: Sequence[Cell], layers: int, *, taken: tuple[int, float] | None = None) -> Any:
    """Layer against multiplier, coloured by the change of P(target).

    **Arguments:**

    - `layers`: of the whole model, so that an unfinished map already has its final size.
    - `taken`: the cell that is framed.
    """
    limit = max((abs(cell.change) for cell in cells), default=0.0) or 1.0
    picked = alt.selection_point(name=CELL, fields=["layer", "multiplier"], on="click", empty=False)
    return (
        alt.Chart(_table(cells, taken))
        .mark_rect(cursor="pointer")
        .encode(
            x=alt.X(
                "multiplier:O", title="multiplier", sort="ascending", axis=alt.Axis(labelAngle=0)
            ),
            y=alt.Y(
                "layer:O", title="layer",
                scale=alt.Scale(domain=list(reversed(range(layers)))),
            ),
            color=alt.Color("change:Q", title="change", scale=diverging(limit)),
            stroke=alt.condition("datum.taken", alt.value(INK), alt.value(LINE)),
            strokeWidth=alt.condition("datum.taken", alt.value(2.5), alt.value(0.5)),
            description="named:N",
            tooltip=[
                alt.Tooltip("layer:O"),
                alt.Tooltip("multiplier:O"),
                alt.Tooltip("P(target):Q", format=".5f"),
                alt.Tooltip("change:Q", format="+.5f"),
            ],
        )
        .add_params(picked)
        .properties(height=max(200, 26 * layers + 60), usermeta=SVG)
    )  # fmt: skip


def _table(cells: Sequence[Cell], taken: tuple[int, float] | None) -> pd.DataFrame:
    """A row a cell; the taken one comes last, so that no neighbour covers its frame."""
    return pd.DataFrame(
        [
            {
                "layer": cell.layer,
                "multiplier": cell.multiplier,
                "P(target)": cell.prob,
                "change": cell.change,
                "named": f"layer {cell.layer}, x{cell.multiplier:g}: {cell.change:+.4f}",
                "taken": (cell.layer, cell.multiplier) == taken,
            }
            for cell in sorted(cells, key=lambda cell: (cell.layer, cell.multiplier) == taken)
        ]
    )


def diverging(limit: float) -> alt.Scale:
    """Red for losses, blue for gains, white for none."""
    return alt.Scale(domain=[-limit, 0, limit], range=[LOSS, NOTHING, GAIN])
