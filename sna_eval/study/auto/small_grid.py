"""A grid of so many configurations, thinned evenly out of a larger one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sna_eval.measuring.grid import Grid
from sna_eval.neurons import spread_over

_SHAPES = ((1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (4, 5), (5, 8), (7, 12))
"""Counts and multipliers of a layer, from coarse to the paper's own."""
_LEAST = 4
"""Configurations below which a layer is left out rather than thinned further."""


def small_grid(full: Grid, configurations: int) -> Grid:
    """At most `configurations` of `full`: every layer if each gets four, else evenly spaced ones.

    Layers differ more than counts or multipliers do, so they are thinned last.
    """
    directions = len(full.directions)
    room = max(1, configurations // directions)
    layers = min(len(full.layers), max(1, room // _LEAST))
    counts, multipliers = _shape(full, room // layers)
    return replace(
        full,
        layers=tuple(spread_over(full.layers, layers)),
        n_neurons=tuple(spread_over(full.n_neurons, counts)),
        multipliers=tuple(spread_over(full.multipliers, multipliers)),
    )


def _shape(full: Grid, room: int) -> tuple[int, int]:
    """The finest shape that fits into `room`, no finer than the full grid's."""
    shapes = [
        (min(counts, len(full.n_neurons)), min(multipliers, len(full.multipliers)))
        for counts, multipliers in _SHAPES
    ]
    return max((shape for shape in shapes if _size(shape) <= max(1, room)), key=_size)


def _size(shape: Sequence[int]) -> int:
    return shape[0] * shape[1]
