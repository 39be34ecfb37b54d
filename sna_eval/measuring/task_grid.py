"""A grid over one task's items: their baseline, and every configuration, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sna_eval.directions import BOTH, GOLD, PREDICTED
from sna_eval.gating import Gate
from sna_eval.harness.scoring.decisions import kept, predicted_of_one
from sna_eval.measuring.baselines import ItemsBaseline, items_baseline
from sna_eval.measuring.configuration import Configuration
from sna_eval.measuring.grid import Grid
from sna_eval.measuring.grid_passes import Captured, GridPasses, LayerPlan
from sna_eval.measuring.items import TaskItems
from sna_eval.measuring.layout import RowGroup
from sna_eval.measuring.starts import LabelWeights, Route
from sna_eval.measuring.values import Floats, keep_baseline_where_not_finite
from sna_eval.neurons import Ranked

CAPTURED_BYTES = 2**30
"""Memory that captured activations may take; layers beyond it need a further baseline pass."""


@dataclass(frozen=True, eq=False)
class LayerResult:
    """What a layer's configurations do to a task's items."""

    layer: int
    ranking: Ranked
    baseline: ItemsBaseline
    log_likelihoods: Floats
    """Of the measured configurations, `[measured, request]`."""
    numbers: tuple[int, ...]
    """Which configurations of the grid were measured."""
    predicted: Floats | None = None
    """What was predicted of every configuration, `[configuration, request]`; `None` where nothing
    was."""
    drawn: tuple[int, ...] = ()
    """Measured configurations that chance chose."""


@dataclass(eq=False)
class TaskGrid:
    """The grid of one task."""

    items: TaskItems
    grid: Grid
    gate: Gate
    """Says which zone an item is in; every item is amplified all the same."""
    groups: Sequence[RowGroup]
    """All rows of the items."""
    passes: GridPasses
    routes: Mapping[int, Route]
    rankings: Mapping[int, Ranked]

    def run(
        self, layers: Sequence[int], numbers: Mapping[int, Sequence[int]] | None = None
    ) -> Iterator[LayerResult]:
        """Results of the given layers, in order; blocks below them run once for all.

        A result depends on its own layer alone, not on which others are asked for.

        **Arguments:**

        - `numbers`: configurations wanted by layer, numbers in the grid's order; `None`: all.
        """
        every = range(self.grid.per_layer)
        for portion in self._portions(layers):
            plans = [LayerPlan(layer, self.routes[layer], self.neurons(layer)) for layer in portion]
            yield from self._portion(
                plans, {layer: (numbers or {}).get(layer, every) for layer in portion}
            )

    def baseline(self) -> ItemsBaseline:
        """What the unmodified model says."""
        with self.passes.shortcuts.everywhere(self.passes.engine.model):
            return self._baseline([])[0]

    def _portions(self, layers: Sequence[int]) -> Iterator[Sequence[int]]:
        """As many layers at once as captured activations have room for."""
        engine = self.passes.engine
        width = engine.sites.d_model + self.grid.largest_count
        tokens = sum(group.width * len(group.rows) for group in self.groups)
        size = next(engine.model.parameters()).element_size()
        at_once = max(1, CAPTURED_BYTES // (tokens * width * size))
        for start in range(0, len(layers), at_once):
            yield layers[start : start + at_once]

    def neurons(self, layer: int) -> dict[str, tuple[int, ...]]:
        """A layer's neurons by label, as many as the largest count takes."""
        first = self.rankings[layer].first(self.grid.largest_count)
        return {label: selected.neurons for label, selected in first.items()}

    def _portion(
        self, plans: Sequence[LayerPlan], numbers: Mapping[int, Sequence[int]]
    ) -> Iterator[LayerResult]:
        engine = self.passes.engine
        with self.passes.shortcuts.everywhere(engine.model):
            baseline, captured = self._baseline(plans)
        for number, plan in enumerate(plans):
            places = tuple(numbers[plan.layer])
            every = self.grid.at(plan.layer)
            wanted = [every[place] for place in places]
            weights = self.weights(self.rankings[plan.layer].labels, baseline)
            with self.passes.shortcuts.everywhere(engine.model):
                left = [hidden[number] for hidden in captured]
                amplified = self._amplified(plan, left, weights, wanted)
            amplified[_idle(plan, wanted)] = baseline.log_likelihoods
            final = keep_baseline_where_not_finite(self.items, amplified, baseline.log_likelihoods)
            yield LayerResult(plan.layer, self.rankings[plan.layer], baseline, final, places)

    def _baseline(self, plans: Sequence[LayerPlan]) -> tuple[ItemsBaseline, list[list[Captured]]]:
        """The unmodified model's scores, and per group of rows what each layer starts from."""
        gate, scored, captured = self.gate, [], []
        for group in self.groups:
            scores, left = self.passes.baseline(group, plans)
            scored += [
                (entry, kept(score, gate))
                for entry, score in zip(group.entries, scores, strict=True)
            ]
            captured.append(left)
        return items_baseline(self.items, gate, scored), captured

    def _amplified(
        self,
        plan: LayerPlan,
        captured: Sequence[Captured],
        weights: LabelWeights,
        configurations: Sequence[Configuration],
    ) -> Floats:
        """Log-likelihoods of a layer's configurations, `[configuration, request]`."""
        filled = np.empty((len(configurations), self.items.starts[-1]))
        for group, hidden in zip(self.groups, captured, strict=True):
            places = torch.tensor([entry.item for entry in group.entries])
            here = {
                name: table[places].to(self.passes.engine.device) for name, table in weights.items()
            }
            scores = self.passes.amplified(group, plan, hidden, here, configurations)
            filled[:, group.requests] = scores.cpu().double().numpy()
        return filled

    def weights(self, labels: Sequence[str], baseline: ItemsBaseline) -> dict[str, torch.Tensor]:
        """Whether each direction amplifies each label's neurons: `{direction: [item, label]}`."""
        items = self.items
        if not labels:
            return {BOTH: torch.ones(len(items.items), 1)}
        meant = {
            BOTH: [set(labels)] * len(items.items),
            **{label: [{label}] * len(items.items) for label in labels},
            PREDICTED: [{name} for name in self._predicted(baseline)],
            GOLD: [
                {item.requests[gold].label}
                for item, gold in zip(items.items, items.gold, strict=True)
            ],
        }
        return {
            direction: torch.tensor([[float(label in row) for label in labels] for row in rows])
            for direction, rows in meant.items()
            if direction in self.grid.directions
        }

    def _predicted(self, baseline: ItemsBaseline) -> list[str]:
        """The label each item gets from the unmodified model; the first of several."""
        names = []
        for start, item in zip(self.items.starts, self.items.items, strict=False):
            if len(item.choices) < 2 and not item.alone:
                raise predicted_of_one(item.task)
            scores = baseline.log_likelihoods[start : start + len(item.requests)]
            best = max(item.choices, key=lambda number: scores[number])
            names.append(item.requests[best].label)
        return names


def _idle(plan: LayerPlan, configurations: Sequence[Configuration]) -> list[bool]:
    """Which configurations change nothing; rounding must not look like an effect there."""
    empty = not plan.all_neurons
    return [empty or configuration.multiplier == 1.0 for configuration in configurations]
