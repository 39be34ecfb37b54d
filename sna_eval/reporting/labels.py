"""Names beside points, placed so that they cover neither each other nor a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

Point = tuple[float, float, str]
"""Where, in data, and what is written beside it."""
_SIDES = (("left", "bottom"), ("left", "top"), ("right", "bottom"), ("right", "top"))
_DISTANCES = (4, 10, 18, 28)  # points of type from the mark


def label_points(axes: Any, points: Sequence[Point], *, size: float = 7) -> None:
    """Writes every name at the nearest place that is free; limits must be set before."""
    axes.figure.draw_without_rendering()  # settles where the axes are
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    taken = [_around(axes, x, y) for x, y, _ in points]
    for x, y, name in points:
        places = [(distance, *side) for distance in _DISTANCES for side in _SIDES]
        texts = []
        for distance, across, up in places:
            text = _written(axes, (x, y), name, distance, across, up, size)
            box = _box(text, renderer)
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.figure.bbox.x1
            texts.append(text)
            if inside and not any(box.overlaps(other) for other in taken):
                break
        chosen = texts[-1]
        for text in texts[:-1]:
            text.remove()
        taken.append(_box(chosen, renderer))


def _written(
    axes: Any,
    at: tuple[float, float],
    name: str,
    distance: float,
    across: str,
    up: str,
    size: float,
) -> Any:
    height = 0.75 * distance
    shift = (distance if across == "left" else -distance, height if up == "bottom" else -height)
    return axes.annotate(
        name, at, xytext=shift, textcoords="offset points", ha=across, va=up, fontsize=size,
        arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#8a8a8a"}
        if distance > _DISTANCES[1] else None,
    )  # fmt: skip


def _box(text: Any, renderer: Any) -> Any:
    """Of a name alone: the line to its point would always touch the point."""
    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)


def _around(axes: Any, x: float, y: float) -> Any:
    across, up = axes.transData.transform((x, y))
    return Bbox.from_extents(across - 4, up - 4, across + 4, up + 4)
