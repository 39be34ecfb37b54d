"""A grid over one task's items: their baseline, and every configuration, layer by layer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from sna_eval.gating import Gate
from sna_eval.harness.scoring.decisions import kept, predicted_of_one
from sna_eval.measuring.cell_passes import CellPasses, LayerCells
from sna_eval.measuring.grid import Configuration, Grid
from sna_eval.measuring.items import TaskItems
from sna_eval.measuring.moved import Moved, scaled
from sna_eval.measuring.passes import Captured, GridPasses, LayerPlan, RowGroup
from sna_eval.measuring.starts import Route
from sna_eval.measuring.values import (
    Floats,
    ItemsBaseline,
    items_baseline,
    keep_baseline_where_not_finite,
)
from sna_eval.neurons import Ranked
from sna_eval.plan.applying import BOTH, GOLD, PREDICTED

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


@dataclass(frozen=True, eq=False)
class Started:
    """The unmodified model on all rows, and what the configurations of some layers start from."""

    baseline: ItemsBaseline
    plans: tuple[LayerPlan, ...]
    captured: tuple[tuple[Captured, ...], ...]
    """By group of rows, for every plan."""


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
        self,
        layers: Sequence[int],
        numbers: Mapping[int, Sequence[int]] | None = None,
        progress: Moved | None = None,
    ) -> Iterator[LayerResult]:
        """Results of the given layers, in order; blocks below them run once for all.

        A result depends on its own layer alone, not on which others are asked for.

        **Arguments:**

        - `numbers`: configurations wanted by layer, numbers in the grid's order; `None`: all.
        - `progress`: told of configurations as they are done, in parts.
        """
        every = range(self.grid.per_layer)
        for portion in self.portions(layers):
            wanted = {layer: tuple((numbers or {}).get(layer, every)) for layer in portion}
            count = sum(map(len, wanted.values()))
            part = scaled(progress, count / (count + 1))  # the unmodified model takes time as well
            started = self.start(portion, part)
            for layer in portion:
                found = self.measured(started, layer, wanted[layer], part)
                yield LayerResult(
                    layer, self.rankings[layer], started.baseline, found, wanted[layer]
                )

    def portions(self, layers: Sequence[int]) -> list[Sequence[int]]:
        """As many layers at once as captured activations have room for."""
        engine = self.passes.engine
        width = engine.sites.d_model + self.grid.largest_count
        size = next(engine.model.parameters()).element_size()
        at_once = max(1, CAPTURED_BYTES // (self._tokens * width * size))
        return [layers[start : start + at_once] for start in range(0, len(layers), at_once)]

    def neurons(self, layer: int) -> dict[str, tuple[int, ...]]:
        """A layer's neurons by label, as many as the largest count takes."""
        first = self.rankings[layer].first(self.grid.largest_count)
        return {label: selected.neurons for label, selected in first.items()}

    def start(self, layers: Sequence[int], progress: Moved | None = None) -> Started:
        """The unmodified model, run once; it leaves what configurations of the layers need."""
        plans = tuple(LayerPlan(layer, self.routes[layer], self.neurons(layer)) for layer in layers)
        gate, scored, captured = self.gate, [], []
        with self.passes.shortcuts.everywhere(self.passes.engine.model):
            for group in self.groups:
                scores, left = self.passes.baseline(group, plans)
                scored += [
                    (entry, kept(score, gate))
                    for entry, score in zip(group.entries, scores, strict=True)
                ]
                captured.append(tuple(left))
                if progress is not None:
                    progress(self._share(group))
        return Started(items_baseline(self.items, gate, scored), plans, tuple(captured))

    def _share(self, group: RowGroup) -> float:
        """Of all tokens, those of a group."""
        return group.width * len(group.rows) / self._tokens

    @cached_property
    def _tokens(self) -> int:
        return sum(group.width * len(group.rows) for group in self.groups)

    def measured(
        self,
        started: Started,
        layer: int,
        numbers: Sequence[int],
        progress: Moved | None = None,
    ) -> Floats:
        """Log-likelihoods of some configurations of a layer, `[configuration, request]`.

        **Arguments:**

        - `numbers`: of the configurations, in the grid's order.
        - `progress`: told of them as they are done, in parts.
        """
        cells, baseline = self._cells(started, layer, numbers), started.baseline
        filled = np.tile(baseline.log_likelihoods, (len(numbers), 1))
        with self.passes.shortcuts.everywhere(self.passes.engine.model):
            for group, captured in zip(self.groups, cells.captured, strict=True):
                part = scaled(progress, self._share(group))
                filled[:, group.requests] = self._group(group, cells, captured, part)
        return self._settled(filled, baseline, [cells])

    def scattered(
        self,
        started: Started,
        numbers: Mapping[int, Sequence[int]],
        items: Collection[int] | None = None,
        progress: Moved | None = None,
    ) -> Iterator[tuple[int, int, Floats]]:
        """Some configurations of several layers, their rows packed together: layer, number, and
        log-likelihoods, `[request]`.

        **Arguments:**

        - `numbers`: configurations by layer, in the grid's order; layers that were started.
        - `items`: places of the items to run, `None` for all; the others keep their baseline.
        - `progress`: told of configurations as they are done, in parts.
        """
        every = [self._cells(started, layer, wanted) for layer, wanted in numbers.items()]
        names = [(layer, number) for layer, wanted in numbers.items() for number in wanted]
        filled = np.tile(started.baseline.log_likelihoods, (len(names), 1))
        chosen = None if items is None else frozenset(items)
        CellPasses(self.passes, self.groups).run(every, chosen, filled, progress)
        for (layer, number), row in zip(
            names, self._settled(filled, started.baseline, every), strict=True
        ):
            yield layer, number, row

    def _cells(self, started: Started, layer: int, numbers: Sequence[int]) -> LayerCells:
        (place,) = [number for number, plan in enumerate(started.plans) if plan.layer == layer]
        every = self.grid.at(layer)
        return LayerCells(
            started.plans[place],
            [every[number] for number in numbers],
            [captured[place] for captured in started.captured],
            self.weights(self.rankings[layer].labels, started.baseline),
        )

    def _settled(
        self, filled: Floats, baseline: ItemsBaseline, every: Sequence[LayerCells]
    ) -> Floats:
        """The baseline's values where nothing changed, and where they are no numbers."""
        idle = [idle for cells in every for idle in _idle(cells.plan, cells.configurations)]
        filled[idle] = baseline.log_likelihoods
        return keep_baseline_where_not_finite(self.items, filled, baseline.log_likelihoods)

    def _group(
        self, group: RowGroup, cells: LayerCells, captured: Captured, progress: Moved | None
    ) -> Floats:
        """Log-likelihoods of one group's requests, `[configuration, request]`."""
        places = torch.tensor([entry.item for entry in group.entries])
        here = {
            name: table[places].to(self.passes.engine.device)
            for name, table in cells.weights.items()
        }
        scores = self.passes.amplified(
            group, cells.plan, captured, here, cells.configurations, progress
        )
        return np.asarray(scores.cpu().double().numpy())

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
