"""One task's screened sweep: all of its grid predicted, a part of it measured.

1. The baseline, and first-order effects on every request, from one backward pass per batch.
2. Measured: a random sample. Tried: the configurations that promise most, and more of them at
   multipliers whose predictions did not hold on the sample.
3. What remains to be tried lies around the best that was measured, step by step.

What is tried runs on a part of the items first, and is measured if it does well there: see `heats`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sna_eval.measuring.grid import Grid
from sna_eval.measuring.task_grid import LayerResult, TaskGrid
from sna_eval.measuring.values import Floats, ItemsBaseline
from sna_eval.neurons.first_order import first_order
from sna_eval.study.bars import PartsBar
from sna_eval.study.sweep.screening.agreement import Agreement, agreements, not_held
from sna_eval.study.sweep.screening.heats import Heats, gains
from sna_eval.study.sweep.screening.options import ScreenOptions
from sna_eval.study.sweep.screening.prediction import (
    Effects,
    predicted,
    predicted_requests,
    request_row,
)
from sna_eval.study.sweep.screening.shortlist import Cells, around, denser, drawn, promising

_AHEAD = 0.6  # of what is tried for its promise: by prediction; the rest around what was best
_BEST = 3  # cells whose neighbours are looked at in a step


@dataclass(eq=False)
class ScreenedTask:
    """Screens one task."""

    name: str
    swept: TaskGrid
    options: ScreenOptions
    max_length: int
    seed: int = 0
    quiet: bool = True
    """Whether to show no progress."""

    @property
    def grid(self) -> Grid:
        return self.swept.grid

    def run(self) -> list[LayerResult]:
        """Results of every layer of the grid, in order."""
        size = len(self.grid)
        sample = drawn(self.grid, self.options.n_sample(size), task=self.name, seed=self.seed)
        with PartsBar(1, self.name, quiet=self.quiet) as bar:
            bar.reach(0, "unmodified")
            heats = Heats(self.swept, self.options, moved=bar.update)
            forecast = self._predict(heats.baseline, bar)
            bar.begin(self.options.n_best(size) + int(sample.sum()), "configurations")
            self._search(heats, forecast, sample)
        return [
            self._layer_result(place, heats, forecast[place], sample)
            for place in range(len(self.grid.layers))
        ]

    def _search(self, heats: Heats, forecast: list[Floats], sample: Cells) -> None:
        heats.measure(sample)
        promise = np.stack(
            [gains(self.swept.items, heats.baseline, predicted) for predicted in forecast]
        )
        found = agreements(self._multipliers(sample), heats.gains()[sample], promise[sample])
        best = self.options.n_best(len(self.grid))
        first = promising(self.grid, promise, max(1, round(_AHEAD * best)), taken=heats.taken)
        taken = heats.taken | first
        more = denser(self.grid, promise, not_held(found), self._n_denser(found), taken=taken)
        heats.race(first | more, forecast)
        left = best - int(first.sum())
        while left > 0:
            step = around(self.grid, heats.gains(), left, best=_BEST, taken=heats.taken)
            if not step.any():
                break
            heats.race(step, forecast)
            left -= int(step.sum())

    def _n_denser(self, found: Sequence[Agreement]) -> int:
        """How many more are tried where predictions failed: twice as many as chance drew there,
        and no more than it drew in all."""
        drawn_there = sum(agreement.n for agreement in found if agreement.held is False)
        return min(2 * drawn_there, sum(agreement.n for agreement in found))

    def _predict(self, baseline: ItemsBaseline, bar: PartsBar) -> list[Floats]:
        """Predicted log-likelihoods by place of the layer, `[configuration, request]`."""
        effects = self._effects(baseline.log_likelihoods, bar)
        found = []
        for layer in self.grid.layers:
            labels = self.swept.rankings[layer].labels
            found.append(
                predicted(
                    effects,
                    layer,
                    self.swept.neurons(layer),
                    self.swept.weights(labels, baseline),
                    self.grid.at(layer),
                    baseline.log_likelihoods,
                )
            )
        return found

    def _effects(self, baseline: Floats, bar: PartsBar) -> Effects:
        items, engine = self.swept.items, self.swept.passes.engine
        pairs = predicted_requests(items, baseline)
        rows = [
            request_row(items, item, request, max_length=self.max_length) for item, request in pairs
        ]
        bar.begin(len(rows), "gradients")
        found = first_order(
            engine.model,
            engine.sites,
            rows,
            layers=self.grid.layers,
            abilities=engine.abilities,
            context=engine.context,
            progress=bar.update,
        )
        numbers = tuple(request for _, request in pairs)
        return Effects(numbers, tuple(item for item, _ in pairs), found.effects)

    def _multipliers(self, cells: Cells) -> Floats:
        """Each cell's multiplier, in the order of `array[cells]`."""
        of_layer = np.array([entry.multiplier for entry in self.grid.at(self.grid.layers[0])])
        return np.broadcast_to(of_layer, cells.shape)[cells]

    def _layer_result(
        self, place: int, heats: Heats, forecast: Floats, sample: Cells
    ) -> LayerResult:
        layer, baseline = self.grid.layers[place], heats.baseline
        numbers = sorted(number for layer, number in heats.measured if layer == place)
        rows = [heats.measured[place, number] for number in numbers]
        empty = np.empty((0, len(baseline.log_likelihoods)))
        return LayerResult(
            layer,
            self.swept.rankings[layer],
            baseline,
            np.stack(rows) if rows else empty,
            tuple(numbers),
            forecast,
            tuple(np.flatnonzero(sample[place]).tolist()),
        )
