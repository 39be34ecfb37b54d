"""A heat map of changes, shared by several figures: blue gains, red losses, zero in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sna_eval.reporting.style import DIVERGING, INK

_WRITTEN = 200  # cells up to which each holds its number


def heat(
    axes: Any,
    table: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    limit: float | None = None,
    reverse: bool = False,
    numbers: bool | None = None,
) -> Any:
    """Draws `table`, `[row, column]`; NaN stays empty.

    **Arguments:**

    - `limit`: change that has the full colour; default: the largest of the table.
    - `reverse`: whether a rise is a loss, as for perplexity.
    - `numbers`: whether cells hold their number; default: where there is room.
    """
    limit = limit or largest(table)
    image = axes.imshow(
        table, cmap=f"{DIVERGING}{'_r' if reverse else ''}", vmin=-limit, vmax=limit,
        aspect="auto", interpolation="nearest",
    )  # fmt: skip
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    if numbers if numbers is not None else table.size <= _WRITTEN:
        _write_numbers(axes, table, limit)
    return image


def largest(table: NDArray[np.float64]) -> float:
    """The largest absolute value, never 0."""
    finite = np.abs(table[np.isfinite(table)])
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def written(value: float) -> str:
    """A change in few characters; what rounds to nothing has no sign."""
    digits = 0 if abs(value) >= 100 else 1
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _write_numbers(axes: Any, table: NDArray[np.float64], limit: float) -> None:
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.65 * limit else INK
            axes.text(
                column, row, written(value), ha="center", va="center", fontsize=6.5,
                color=colour,
            )  # fmt: skip
