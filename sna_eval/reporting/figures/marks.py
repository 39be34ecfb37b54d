"""What a figure is made of: panels with axes and marks in the units of the data.

Categories stand at 0, 1, ...; on the y axis the first is at the top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Told = Mapping[str, Any]
"""What is said of a mark that is pointed at, by name."""
Symbol = Literal["dot", "ring", "stroke", "square", "triangle"]


@dataclass(frozen=True)
class Axis:
    """One axis of a panel."""

    title: str = ""
    names: tuple[str, ...] = ()
    """Of the categories, where it has them."""
    log: bool = False
    limits: tuple[float, float] | None = None
    tilted: bool = False
    """Whether the names stand aslant: they are long."""


@dataclass(frozen=True)
class Series:
    """Marks that belong together; a name stands in the legend."""

    name: str
    colour: str
    symbol: Symbol = "dot"


@dataclass(frozen=True)
class Points:
    """Single values, joined by a line if they are one curve."""

    series: Series
    x: tuple[float, ...]
    y: tuple[float, ...]
    told: tuple[Told, ...] = ()
    names: tuple[str, ...] = ()
    """Written beside the points."""
    joined: bool = False


@dataclass(frozen=True)
class Spans:
    """Horizontal lines from `low` to `high`: intervals, and ranges behind them."""

    series: Series
    low: tuple[float, ...]
    high: tuple[float, ...]
    y: tuple[float, ...]
    width: float = 2.0
    """In points of type."""
    opacity: float = 1.0


@dataclass(frozen=True, eq=False)
class Band:
    """A range of y along x, with its middle."""

    series: Series
    x: Floats
    low: Floats
    middle: Floats
    high: Floats


@dataclass(frozen=True)
class Line:
    """A thin line across the panel where something is zero."""

    along: Literal["x", "y"]
    at: float = 0.0


@dataclass(frozen=True, eq=False)
class Cells:
    """A heat map."""

    shades: Floats
    """`[row, column]`: -1 is a loss in full colour, 1 a gain; NaN stays empty."""
    texts: tuple[tuple[str, ...], ...]
    """What cells hold, where there is room."""
    told: tuple[tuple[Told, ...], ...]
    framed: tuple[tuple[int, int], ...] = ()
    """Rows and columns of cells with a frame."""
    frame: str = "#222222"
    bold: bool = False
    """Whether texts of framed cells are bold."""


Mark = Points | Spans | Band | Line | Cells


@dataclass(frozen=True, eq=False)
class Panel:
    """One pair of axes."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    title: str = ""
    width: float = 1.0
    """Beside other panels."""

    @property
    def series(self) -> tuple[Series, ...]:
        """What the legend lists, in order."""
        named = [mark.series for mark in self.marks if isinstance(mark, (Points, Spans, Band))]
        return tuple(dict.fromkeys(series for series in named if series.name))


@dataclass(frozen=True, eq=False)
class Drawing:
    """A whole figure."""

    panels: tuple[Panel, ...]
    width: float
    """In inches."""
    height: float
    columns: int = 0
    """Panels in a row; 0: all."""
    x_title: str = ""
    """Of all panels together."""
    y_title: str = ""
    shared_y: bool = False
    legend: Literal["below", "above", "inside"] = "below"


def relative(table: Floats, limit: float | None = None) -> Floats:
    """Shades of a table: of its largest absolute value, or of a limit."""
    return table / (limit or largest(table))


def largest(table: Floats) -> float:
    """The largest absolute value, never 0."""
    finite = np.abs(table[np.isfinite(table)])
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def written(value: float) -> str:
    """A change in few characters; what rounds to nothing has no sign, what is not there no text."""
    if not np.isfinite(value):
        return ""
    digits = 0 if abs(value) >= 100 else 1
    return f"{round(value, digits) + 0.0:.{digits}f}"


def texts(table: Floats, *, shown: bool = True) -> tuple[tuple[str, ...], ...]:
    """The numbers of a table, or nothing in any cell."""
    return tuple(tuple(written(value) if shown else "" for value in row) for row in table)
