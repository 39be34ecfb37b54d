"""Which configurations of a predicted grid are measured.

A grid is a table, `[layer, configuration]`, and a shortlist a set of its cells. Every step depends
on settings, predictions and what was measured before it, never on time or on what is left to do: a
sweep that is stopped and resumed measures the same cells.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sna_eval.measuring.grid import Grid
from sna_eval.measuring.values import Floats
from sna_eval.neurons.bench import spread_over

Cells = NDArray[np.bool_]
"""`[layer, configuration]`: the cells meant."""


def drawn(grid: Grid, count: int, *, task: str, seed: int) -> Cells:
    """A random sample of `count` cells, equally many of every multiplier but for one."""
    generator = np.random.default_rng([seed, zlib.crc32(task.encode())])
    chosen = np.zeros(_shape(grid), dtype=bool)
    columns = _columns_by_multiplier(grid)
    places, sizes = spread_over(range(len(columns)), count), _shares(count, len(columns))
    for place, most in zip(places, sizes, strict=True):
        cells = [(layer, number) for layer in range(len(grid.layers)) for number in columns[place]]
        for cell in generator.choice(len(cells), size=min(most, len(cells)), replace=False):
            chosen[cells[cell]] = True
    return chosen


def promising(grid: Grid, promise: Floats, count: int, *, taken: Cells) -> Cells:
    """The `count` cells of the largest promise that are not taken yet.

    Up to half are the best of each layer at the strongest multiplier, a quarter the best of each
    multiplier, the rest the best of all. Predictions lead astray layer by layer: those of one may
    all promise too much, and in another all promise harm where large steps do good. And they are
    linear in `m - 1`, so that the best of all are those of the largest multiplier, where they hold
    least.
    """
    layers, columns = len(grid.layers), _columns_by_multiplier(grid)
    strongest = max(range(len(columns)), key=lambda column: abs(grid.multipliers[column] - 1.0))
    chosen = np.zeros_like(taken)
    for layer in range(layers):
        inside = np.zeros_like(taken)
        inside[layer, columns[strongest]] = True
        chosen |= best_of(promise, count // 2 // layers, among=inside & ~taken)
    chosen |= _best_of_each(columns, promise, count // 4 // len(columns), taken=taken | chosen)
    return chosen | best_of(promise, count - int(chosen.sum()), among=~taken & ~chosen)


def denser(
    grid: Grid, promise: Floats, multipliers: Sequence[float], count: int, *, taken: Cells
) -> Cells:
    """Further cells of some multipliers, the largest promise first, `count` in all."""
    every = zip(grid.multipliers, _columns_by_multiplier(grid), strict=True)
    columns = [numbers for multiplier, numbers in every if multiplier in multipliers]
    if not columns:
        return np.zeros_like(taken)
    chosen = _best_of_each(columns, promise, count // len(columns), taken=taken)
    inside = np.zeros_like(taken)
    inside[:, [number for numbers in columns for number in numbers]] = True
    left = count - int(chosen.sum())
    return chosen | best_of(promise, left, among=inside & ~taken & ~chosen)


def around(grid: Grid, measured: Floats, count: int, *, best: int, taken: Cells) -> Cells:
    """Neighbours of the best measured cells: the next layer, count or multiplier, either way.

    **Arguments:**

    - `measured`: effects, NaN where nothing was measured.
    - `count`: cells at most.
    - `best`: how many cells' neighbours.
    """
    scores = np.where(np.isnan(measured), -np.inf, measured)
    chosen = np.zeros_like(taken)
    for cell in np.argsort(-scores, axis=None, kind="stable")[:best]:
        layer, column = np.unravel_index(cell, scores.shape)
        for place in _neighbours(grid, int(layer), int(column)):
            if not taken[place] and chosen.sum() < count:
                chosen[place] = True
    return chosen


def _neighbours(grid: Grid, layer: int, number: int) -> list[tuple[int, int]]:
    counts, multipliers = len(grid.n_neurons), len(grid.multipliers)
    direction, rest = divmod(number, counts * multipliers)
    count, multiplier = divmod(rest, multipliers)
    steps = ((0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0))
    found = []
    for by_layer, by_count, by_multiplier in steps:
        beside = (layer + by_layer, count + by_count, multiplier + by_multiplier)
        if (
            0 <= beside[0] < len(grid.layers)
            and 0 <= beside[1] < counts
            and 0 <= beside[2] < multipliers
        ):
            found.append((beside[0], (direction * counts + beside[1]) * multipliers + beside[2]))
    return found


def _best_of_each(
    columns: Sequence[Sequence[int]], promise: Floats, count: int, *, taken: Cells
) -> Cells:
    """The `count` best free cells of each group of columns."""
    chosen = np.zeros_like(taken)
    for numbers in columns:
        inside = np.zeros_like(taken)
        inside[:, numbers] = True
        chosen |= best_of(promise, count, among=inside & ~taken)
    return chosen


def best_of(scores: Floats, count: int, *, among: Cells) -> Cells:
    """The `count` best of some cells."""
    chosen = np.zeros_like(among)
    if count > 0:
        inside = np.where(among, scores, -np.inf)
        order = np.argsort(-inside, axis=None, kind="stable")[: min(count, int(among.sum()))]
        chosen.flat[order] = True
    return chosen


def _shares(count: int, parts: int) -> list[int]:
    """`count` in parts that differ by one at most."""
    return [count // parts + (place < count % parts) for place in range(min(count, parts))]


def _columns_by_multiplier(grid: Grid) -> list[list[int]]:
    """Numbers of a layer's configurations by multiplier, in the grid's order."""
    row = grid.at(grid.layers[0])
    return [
        [
            number
            for number, configuration in enumerate(row)
            if configuration.multiplier == multiplier
        ]
        for multiplier in grid.multipliers
    ]


def _shape(grid: Grid) -> tuple[int, int]:
    return len(grid.layers), grid.per_layer
