"""Chosen cells of a grid, of many layers, run on chosen rows: each pass as full as it may be.

A grid that is measured whole fills its passes with the configurations of one layer. Of a few cells
of every layer on a few items that would be passes of some tokens each, in which reading the weights
costs more than using them. Here a row of a cell is what is packed: rows of like length travel
together, whatever their layer, and join the pass where their layer begins to differ
(`intervention.joined`). On models that take no such pass the rows of each layer travel by
themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby

import torch

from sna_eval.intervention import Batch
from sna_eval.intervention.joined import Entering, joined
from sna_eval.intervention.partial_passes import continued, resumed
from sna_eval.intervention.stream import output_columns
from sna_eval.measuring.grid import Configuration
from sna_eval.measuring.items import ItemRow
from sna_eval.measuring.moved import Moved
from sna_eval.measuring.passes import Captured, GridPasses, LayerPlan, RowGroup, alike
from sna_eval.measuring.starts import LabelWeights, scaled_rows
from sna_eval.measuring.values import Floats

_SPARE_TOKENS = 96
"""Padding in a pass that costs less than a pass of its own: what reading the weights comes to."""


@dataclass(frozen=True, eq=False)
class LayerCells:
    """Some configurations of one layer, and what they start from."""

    plan: LayerPlan
    configurations: Sequence[Configuration]
    captured: Sequence[Captured]
    """By group of rows."""
    weights: LabelWeights
    """Which labels' neurons a direction amplifies: `{direction: [item, label]}`."""


@dataclass(frozen=True, eq=False)
class _CellRow:
    """A row of an item, to be run under one configuration."""

    cells: LayerCells
    number: int
    """Of the cell, counted through all layers' cells."""
    configuration: Configuration
    entry: ItemRow
    group: int
    """Where the row's beginning was captured: the group, and the row in it."""
    row: int

    @property
    def captured(self) -> Captured:
        return self.cells.captured[self.group]

    @property
    def block(self) -> int:
        """Block that it enters; one more than there are: it comes in behind the last."""
        plan = self.cells.plan
        return {"behind": plan.layer + 1, "at": plan.layer, "full": 0}[plan.route]


@dataclass(eq=False)
class CellPasses:
    """Runs cells on rows."""

    passes: GridPasses
    groups: Sequence[RowGroup]
    """All rows, as their beginnings were captured."""

    def run(
        self,
        every: Sequence[LayerCells],
        items: frozenset[int] | None,
        filled: Floats,
        progress: Moved | None = None,
    ) -> None:
        """Log-likelihoods of all cells on some items.

        **Arguments:**

        - `items`: places of the items; `None`: all.
        - `filled`: where they go, `[cell, request]`, the layers' cells one after another.
        - `progress`: told of cells as they are done, in parts.
        """
        rows = sum(
            items is None or entry.item in items for group in self.groups for entry in group.entries
        )
        with self.passes.shortcuts.everywhere(self.passes.engine.model):
            for part in self._parts(every, items):
                scores = (
                    self._scores(part)
                    .cpu()
                    .double()
                    .split([len(row.entry.requests) for row in part])
                )
                for row, values in zip(part, scores, strict=True):
                    filled[row.number, list(row.entry.requests)] = values.numpy()
                if progress is not None:
                    progress(len(part) / rows)

    def _parts(
        self, every: Sequence[LayerCells], items: frozenset[int] | None
    ) -> Iterator[list[_CellRow]]:
        """What runs in one pass: rows in the order of the blocks that they enter."""
        places = [
            (group, row, entry)
            for group, together in enumerate(self.groups)
            for row, entry in enumerate(together.entries)
            if items is None or entry.item in items
        ]
        places.sort(key=lambda place: -len(place[2].row))
        cells = _numbered(every)
        while places and cells:
            lengths = [len(entry.row) for _, _, entry in places]
            size = alike(lengths, spare=_SPARE_TOKENS // len(cells))
            rows = [
                _CellRow(layer, number, configuration, entry, group, row)
                for number, layer, configuration in cells
                for group, row, entry in places[:size]
            ]
            for apart in self._that_may_join(rows):
                yield from self._filled(apart, lengths[0])
            places = places[size:]

    def _that_may_join(self, rows: Sequence[_CellRow]) -> Iterator[list[_CellRow]]:
        """Rows that may share a pass, in the order of their blocks."""
        ordered = sorted(rows, key=lambda row: (row.block, row.number))
        joins = self.passes.joins
        for _, apart in groupby(ordered, key=lambda row: None if joins else row.cells.plan.layer):
            yield list(apart)

    def _filled(self, rows: list[_CellRow], width: int) -> Iterator[list[_CellRow]]:
        """Equal parts that each fill a pass."""
        parts = math.ceil(len(rows) * width / max(width, self.passes.tokens))
        size = math.ceil(len(rows) / parts)
        for first in range(0, len(rows), size):
            yield rows[first : first + size]

    def _scores(self, rows: Sequence[_CellRow]) -> torch.Tensor:
        """Log-likelihoods of one pass, `[branch]`."""
        engine = self.passes.engine
        batch = Batch([row.entry.row for row in rows], engine.device)
        with ExitStack() as stack:
            self._enter(stack, rows, batch.width)
            last = engine.sites.n_layers - 1
            if all(row.cells.plan.route == "behind" or row.cells.plan.layer < last for row in rows):
                stack.enter_context(self.passes.shortcuts.for_batch(engine.sites, batch))
            return engine.log_likelihoods(batch)

    def _enter(self, stack: ExitStack, rows: Sequence[_CellRow], width: int) -> None:
        """Lets every row begin where its layer begins to differ."""
        engine = self.passes.engine
        sites, tuples = engine.sites, engine.abilities.returns_tuple
        entering, inside = [], 0
        for block, together in groupby(rows, key=lambda row: (row.block, row.cells.plan.layer)):
            alike = list(together)
            plan, acting = alike[0].cells.plan, self._acting(alike)
            if plan.route != "behind":
                factors = sites.spread(self._factors(alike, acting, before=inside))
                stack.enter_context(scaled_rows(sites.projections[plan.layer], factors))
            if plan.route != "full":
                entering.append(Entering(block[0], self._hidden(alike, acting, width)))
            inside += len(alike)
        if self.passes.joins:
            stack.enter_context(joined(sites, entering, returns_tuple=tuples))
        elif entering:
            (only,) = entering
            way = continued if plan.route == "behind" else resumed
            stack.enter_context(way(sites, plan.layer, only.hidden, returns_tuple=tuples))

    def _hidden(self, rows: Sequence[_CellRow], acting: torch.Tensor, width: int) -> torch.Tensor:
        """What rows of one layer begin with, `[row, position, d_model]`."""
        plan = rows[0].cells.plan
        hidden = _padded([row.captured.hidden for row in rows], rows, width)
        if plan.route != "behind" or not plan.all_neurons:
            return hidden
        wide = torch.promote_types(hidden.dtype, torch.float32)
        activations = _padded([row.captured.activations for row in rows], rows, width)
        steps = torch.tensor([row.configuration.multiplier - 1.0 for row in rows])
        strengths = acting * steps.unsqueeze(1)
        columns = output_columns(self.passes.engine.sites, plan.layer, plan.all_neurons).to(wide)
        update = (activations.to(wide) * strengths.to(hidden.device, wide).unsqueeze(1)) @ columns
        return (hidden + update).to(hidden.dtype)

    def _acting(self, rows: Sequence[_CellRow]) -> torch.Tensor:
        """Which of a layer's neurons are amplified in a row: 0 or 1, `[row, neuron]`."""
        neurons = rows[0].cells.plan.neurons
        rank = torch.tensor([place for own in neurons.values() for place in range(len(own))])
        label = torch.tensor([label for label, own in enumerate(neurons.values()) for _ in own])
        return torch.stack(
            [
                row.cells.weights[row.configuration.direction][row.entry.item, label.long()]
                * (rank < row.configuration.n_neurons)
                for row in rows
            ]
        )

    def _factors(
        self, rows: Sequence[_CellRow], acting: torch.Tensor, *, before: int
    ) -> torch.Tensor:
        """What activations in the rows' layer are multiplied by, `[row, n_units]`: of the rows that
        came in before, by 1."""
        sites, neurons = self.passes.engine.sites, rows[0].cells.plan.all_neurons
        factors = torch.ones(before + len(rows), sites.n_units)
        for number, (row, acts) in enumerate(zip(rows, acting > 0, strict=True), before):
            factors[number, torch.tensor(neurons).long()[acts]] = row.configuration.multiplier
        return factors.to(self.passes.engine.device)


def _numbered(every: Sequence[LayerCells]) -> list[tuple[int, LayerCells, Configuration]]:
    """All cells, counted through."""
    cells = [(layer, one) for layer in every for one in layer.configurations]
    return [(number, layer, one) for number, (layer, one) in enumerate(cells)]


def _padded(
    captured: Sequence[torch.Tensor | None], rows: Sequence[_CellRow], width: int
) -> torch.Tensor:
    """What was captured of each row's own tokens, `[row, position, value]`; no token sees what lies
    behind them.

    **Arguments:**

    - `captured`: of the group that a row belongs to, `[row, position, value]`.
    """
    first = captured[0]
    assert first is not None
    padded = first.new_zeros(len(rows), width, first.shape[-1])
    for place, (group, row) in enumerate(zip(captured, rows, strict=True)):
        assert group is not None
        length = len(row.entry.row)
        padded[place, :length] = group[row.row, :length]
    return padded
