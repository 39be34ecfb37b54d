"""One task's screened sweep: all of its grid predicted, a part of it measured.

1. The baseline, and first-order effects on every request, from one backward pass per batch.
2. Measured: a random sample, and the configurations that promise most.
3. Multipliers whose predictions did not hold on the sample are measured more densely.
4. What remains to be measured lies around the best that was measured, step by step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from sna_eval.measuring.baselines import ItemsBaseline
from sna_eval.measuring.grid import Grid
from sna_eval.measuring.items import TaskItems
from sna_eval.measuring.task_grid import LayerResult, TaskGrid
from sna_eval.measuring.values import Floats, item_values
from sna_eval.neurons.first_order import first_order
from sna_eval.study.sweep.screening.agreement import agreements, not_held
from sna_eval.study.sweep.screening.options import ScreenOptions
from sna_eval.study.sweep.screening.prediction import (
    Effects,
    predicted,
    predicted_requests,
    request_row,
)
from sna_eval.study.sweep.screening.shortlist import Cells, around, denser, drawn, promising

_AHEAD = 0.6  # of what is measured for its promise: by prediction; the rest around what was best
_BEST = 3  # cells whose neighbours are looked at in a step
_TIE_BREAK = 1e-6  # of a nat: orders configurations that get equally many items right


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
    _bar: Any = None
    _measured: dict[tuple[int, int], Floats] = field(default_factory=dict)
    """Log-likelihoods by place of the layer and number of the configuration, `[request]`."""

    @property
    def grid(self) -> Grid:
        return self.swept.grid

    def run(self) -> list[LayerResult]:
        """Results of every layer of the grid, in order."""
        size = len(self.grid)
        expected = self.options.n_best(size) + self.options.n_sample(size)
        baseline = self.swept.baseline()
        with tqdm(unit="config", desc=self.name, leave=False, disable=self.quiet) as bar:
            self._bar = bar
            forecast = self._predict(baseline)
            bar.reset(total=expected)
            sample = drawn(self.grid, self.options.n_sample(size), task=self.name, seed=self.seed)
            self._measure_all(baseline, forecast, sample)
        return [
            self._layer_result(place, baseline, forecast[place], sample)
            for place in range(len(self.grid.layers))
        ]

    def _measure_all(self, baseline: ItemsBaseline, forecast: list[Floats], sample: Cells) -> None:
        promise = np.stack([gains(self.swept.items, baseline, own) for own in forecast])
        best, wide = self.options.n_best(len(self.grid)), int(sample.sum())
        first = promising(self.grid, promise, max(1, round(_AHEAD * best)), taken=sample)
        self._measure(sample | first)
        found = self._gains(baseline)
        failed = not_held(agreements(self._multipliers(sample), found[sample], promise[sample]))
        taken = self._taken()
        self._measure(denser(self.grid, promise, failed, wide, taken=taken))
        left = best - int(first.sum())
        while left > 0:
            taken = self._taken()
            step = around(self.grid, self._gains(baseline), left, best=_BEST, taken=taken)
            if not step.any():
                break
            self._measure(step)
            left -= int(step.sum())

    def _predict(self, baseline: ItemsBaseline) -> list[Floats]:
        """Predicted log-likelihoods by place of the layer, `[configuration, request]`."""
        effects = self._effects(baseline.log_likelihoods)
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

    def _effects(self, baseline: Floats) -> Effects:
        items, engine = self.swept.items, self.swept.passes.engine
        pairs = predicted_requests(items, baseline)
        rows = [
            request_row(items, item, request, max_length=self.max_length) for item, request in pairs
        ]
        self._bar.reset(total=len(rows))
        self._bar.set_postfix_str("gradients", refresh=False)
        found = first_order(
            engine.model,
            engine.sites,
            rows,
            layers=self.grid.layers,
            abilities=engine.abilities,
            context=engine.context,
            progress=self._bar.update,
        )
        self._bar.set_postfix_str("")
        numbers = tuple(request for _, request in pairs)
        return Effects(numbers, tuple(item for item, _ in pairs), found.effects)

    def _measure(self, cells: Cells) -> None:
        """Measures cells that are not measured yet."""
        wanted = {
            layer: np.flatnonzero(cells[place]).tolist()
            for place, layer in enumerate(self.grid.layers)
            if cells[place].any()
        }
        places = {layer: place for place, layer in enumerate(self.grid.layers)}
        for result in self.swept.run(tuple(wanted), wanted):
            for number, row in zip(result.numbers, result.log_likelihoods, strict=True):
                self._measured[places[result.layer], number] = row
            self._bar.update(len(result.numbers))

    def _taken(self) -> Cells:
        cells = np.zeros((len(self.grid.layers), self.grid.per_layer), dtype=bool)
        for cell in self._measured:
            cells[cell] = True
        return cells

    def _gains(self, baseline: ItemsBaseline) -> Floats:
        """Gains of what was measured, NaN elsewhere: `[layer, configuration]`."""
        found = np.full((len(self.grid.layers), self.grid.per_layer), np.nan)
        if self._measured:
            rows = np.stack(list(self._measured.values()))
            cells = tuple(np.array(list(self._measured)).T)
            found[cells] = gains(self.swept.items, baseline, rows)
        return found

    def _multipliers(self, cells: Cells) -> Floats:
        """Each cell's multiplier, in the order of `array[cells]`."""
        own = np.array([entry.multiplier for entry in self.grid.at(self.grid.layers[0])])
        return np.broadcast_to(own, cells.shape)[cells]

    def _layer_result(
        self, place: int, baseline: ItemsBaseline, forecast: Floats, sample: Cells
    ) -> LayerResult:
        layer = self.grid.layers[place]
        numbers = sorted(number for own, number in self._measured if own == place)
        rows = [self._measured[place, number] for number in numbers]
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


def gains(items: TaskItems, baseline: ItemsBaseline, log_likelihoods: Floats) -> Floats:
    """Mean gain over the items whose gate opens, over all where none does: `[configuration]`.

    Of the probability of the right answer, or of accuracy where items have choices, ties told apart
    by the right answer's likelihood.

    **Arguments:**

    - `log_likelihoods`: `[configuration, request]`.
    """
    opened = np.array([decision.amplified for decision in baseline.decisions])
    opened = opened if opened.any() else np.ones_like(opened)
    before = item_values(items, baseline.log_likelihoods)
    after = item_values(items, log_likelihoods)
    if before.correct is None or after.correct is None:
        return np.asarray((after.prob - before.prob)[..., opened].mean(axis=-1))
    changed = after.correct.astype(float) - before.correct.astype(float)
    lifted = np.log(np.maximum(after.prob, 1e-300)) - np.log(np.maximum(before.prob, 1e-300))
    together = changed + _TIE_BREAK * lifted
    return np.asarray(together[..., opened].mean(axis=-1))
