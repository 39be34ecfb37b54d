"""Measures chosen cells of one task's grid, and tries others on a part of the items first.

What is tried runs on the items of the *heat*, in two rounds: all of it on one half of them, the
better half of it on the other. The best of that go on to the other items, and only what has run on
all of them counts as measured (successive halving: Karnin et al. 2013, Jamieson and Talwalkar 2016,
arXiv:1502.07943). All configurations of a round run on the same items, and where predictions follow
what was measured on these, they say what the others would add: a regression estimate of the mean
over all items (Cochran 1977, *Sampling techniques*, chapter 7).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sna_eval.measuring.items import TaskItems
from sna_eval.measuring.moved import Moved, scaled
from sna_eval.measuring.task_grid import Started, TaskGrid
from sna_eval.measuring.values import Floats, ItemsBaseline, item_values
from sna_eval.study.sweep.screening.options import ScreenOptions
from sna_eval.study.sweep.screening.shortlist import Cells, best_of

Cell = tuple[int, int]
"""Place of a layer in the grid, and number of a configuration in it."""


class Heats:
    """Cells of one grid that were measured, and those that were tried.

    **Arguments:**

    - `moved`: told of the unmodified model's pass, then of configurations that are measured or
        tried, in parts.
    """

    def __init__(
        self, swept: TaskGrid, options: ScreenOptions, *, moved: Moved | None = None
    ) -> None:
        self._swept, self._options, self._moved = swept, options, moved
        layers = swept.grid.layers
        at_once = len(swept.portions(layers)) == 1
        started = swept.start(layers if at_once else [], moved)
        self._kept = started if at_once else None
        self.baseline: ItemsBaseline = started.baseline
        n_items = len(swept.items.items)
        heat = options.heat_of(counted(self.baseline).tolist(), n_items)
        self._rounds = tuple(part for part in (heat[::2], heat[1::2]) if part)
        self._rest = [item for item in range(n_items) if item not in heat]
        self.measured: dict[Cell, Floats] = {}
        """Log-likelihoods, `[request]`."""
        self.tried: dict[Cell, Floats] = {}
        """Log-likelihoods of what ran on the heat's items, or on a half of them, `[request]`."""
        self._estimated = np.full((len(layers), swept.grid.per_layer), np.nan)
        """Gains over all items that count, of what came through both rounds."""

    @property
    def taken(self) -> Cells:
        """Cells that were measured or tried."""
        cells = np.zeros((len(self._swept.grid.layers), self._swept.grid.per_layer), dtype=bool)
        for cell in {*self.measured, *self.tried}:
            cells[cell] = True
        return cells

    def gains(self) -> Floats:
        """Of what was measured, NaN elsewhere: `[layer, configuration]`."""
        found = np.full(self.taken.shape, np.nan)
        if self.measured:
            rows = np.stack(list(self.measured.values()))
            cells = tuple(np.array(list(self.measured)).T)
            found[cells] = gains(self._swept.items, self.baseline, rows)
        return found

    def measure(self, cells: Cells) -> None:
        """Runs cells on all items."""
        for cell, row in self._run(cells, None):
            self.measured[cell] = row

    def race(self, cells: Cells, forecast: Sequence[Floats]) -> None:
        """Runs cells on the heat's items, and as many as come of that on the others: the best of
        all that came through both rounds and are not measured yet.

        **Arguments:**

        - `forecast`: predicted log-likelihoods by place of the layer, `[configuration, request]`.
        """
        if not self._rounds:
            self.measure(cells)
            return
        ran: list[int] = []
        still, estimated = cells, np.full_like(self._estimated, np.nan)
        for items in self._rounds:
            if ran:
                still = best_of(
                    estimated, self._options.n_second_round(int(still.sum())), among=still
                )
            ran = sorted([*ran, *items])
            for cell, row in self._run(still, items):
                self.tried[cell] = self._with(row, items, self.tried.get(cell, row))
                estimated[cell] = self._estimate(
                    self.tried[cell], forecast[cell[0]][cell[1]], np.array(ran)
                )
        self._estimated[still] = estimated[still]
        left = ~np.isnan(self._estimated) & np.isnan(self.gains())
        finalists = best_of(
            self._estimated, self._options.n_finalists(int(cells.sum())), among=left
        )
        for cell, row in self._run(finalists, self._rest):
            self.measured[cell] = self._with(row, self._rest, self.tried[cell])
        self._tell_left_out(cells, still, finalists)

    def _tell_left_out(self, cells: Cells, still: Cells, finalists: Cells) -> None:
        """What was tried and not run on all items is done as well."""
        if self._moved is not None:
            last = self._rounds[1] if len(self._rounds) > 1 else []
            saved = int(cells.sum() - still.sum()) * self._share(last)
            self._moved(saved + int(cells.sum() - finalists.sum()) * self._share(self._rest))

    def _share(self, items: Sequence[int]) -> float:
        """Of all items."""
        return len(items) / len(self._swept.items.items)

    def _with(self, row: Floats, items: Sequence[int], before: Floats) -> Floats:
        """`before` with what `row` holds of some items, `[request]` each."""
        starts, whole = self._swept.items.starts, before.copy()
        for item in items:
            requests = slice(starts[item], starts[item + 1])
            whole[requests] = row[requests]
        return whole

    def _estimate(self, row: Floats, forecast: Floats, ran: NDArray[np.int64]) -> float:
        """Gain over all items that count, of what ran on some of them.

        **Arguments:**

        - `row`, `forecast`: log-likelihoods, `[request]`.
        - `ran`: places of the items that it ran on.
        """
        items, every = self._swept.items, counted(self.baseline)
        found = item_gains(items, self.baseline, row)[ran]
        foreseen = item_gains(items, self.baseline, forecast)
        missing = foreseen[every].mean() - foreseen[ran].mean()
        return float(found.mean() + _slope(found, foreseen[ran]) * missing)

    def _run(self, cells: Cells, items: Sequence[int] | None) -> Iterator[tuple[Cell, Floats]]:
        """Log-likelihoods of cells, `[request]` each, on some items or all."""
        layers = self._swept.grid.layers
        wanted = {
            layer: np.flatnonzero(cells[place]).tolist()
            for place, layer in enumerate(layers)
            if cells[place].any()
        }
        part = scaled(self._moved, 1.0 if items is None else self._share(items))
        for started, portion in self._starts(tuple(wanted)):
            here = {layer: wanted[layer] for layer in portion}
            for layer, number, row in self._swept.scattered(started, here, items, part):
                yield (layers.index(layer), number), row

    def _starts(self, layers: Sequence[int]) -> Iterator[tuple[Started, Sequence[int]]]:
        """What the layers start from: kept where there is room for all of the grid's."""
        if self._kept is not None:
            yield self._kept, layers
            return
        for portion in self._swept.portions(layers):
            yield self._swept.start(portion), portion


def _slope(measured: Floats, predicted: Floats) -> float:
    """Of a regression of measured on predicted gains, from 0 to 1: what a prediction is worth."""
    spread = float(np.var(predicted))
    if spread == 0.0:
        return 0.0
    covariance = float(np.mean((measured - measured.mean()) * (predicted - predicted.mean())))
    return min(1.0, max(0.0, covariance / spread))


_TIE_BREAK = 1e-6  # of a nat: orders configurations that get equally many items right


def counted(baseline: ItemsBaseline) -> NDArray[np.int64]:
    """Places of the items whose gate opens; of all where none does."""
    opened = np.array([decision.amplified for decision in baseline.decisions])
    return np.flatnonzero(opened if opened.any() else np.ones_like(opened))


def gains(items: TaskItems, baseline: ItemsBaseline, log_likelihoods: Floats) -> Floats:
    """Mean gain over the items that count: `[configuration]`; see `item_gains`."""
    every = item_gains(items, baseline, log_likelihoods)
    return np.asarray(every[..., counted(baseline)].mean(axis=-1))


def item_gains(items: TaskItems, baseline: ItemsBaseline, log_likelihoods: Floats) -> Floats:
    """Gain of every item, `[configuration, item]`.

    Of the probability of the right answer, or of accuracy where items have choices, ties told apart
    by the right answer's likelihood.

    **Arguments:**

    - `log_likelihoods`: `[configuration, request]`.
    """
    before = item_values(items, baseline.log_likelihoods)
    after = item_values(items, log_likelihoods)
    if before.correct is None or after.correct is None:
        return np.asarray(after.prob - before.prob)
    changed = after.correct.astype(float) - before.correct.astype(float)
    lifted = np.log(np.maximum(after.prob, 1e-300)) - np.log(np.maximum(before.prob, 1e-300))
    return np.asarray(changed + _TIE_BREAK * lifted)
