"""How figures look, and how they become files: the same bytes for the same numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sna_eval.errors import InputError
from sna_eval.reporting.colours import INK, MUTED

try:
    import matplotlib
    from matplotlib.figure import Figure
except ImportError as error:  # an extra, so that evaluating needs no plotting library
    raise InputError(
        "report", expected="matplotlib", got=None, hint="pip install 'sna-eval[report]'"
    ) from error

_RC: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "sna-eval",
}


@contextmanager
def styled() -> Iterator[None]:
    """The style in force; matplotlib's own settings come back afterwards."""
    with matplotlib.rc_context(_RC):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def as_svg(figure: Figure) -> bytes:
    return _saved(figure, format="svg", metadata={"Date": None})


def as_png(figure: Figure) -> bytes:
    return _saved(figure, format="png", dpi=150, metadata={"Software": None})


def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, **options)
    return buffer.getvalue()
