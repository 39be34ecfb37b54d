"""Rows on their way through a model: which travel together, and what is run on them.

A task's rows travel in groups of like length, once unmodified and once for every configuration of
every layer, which ride as further rows of a group's batches. The layout depends on the rows and the
grid alone, never on what is left to do, so that a sweep that is stopped and resumed computes the
same numbers to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from sna_eval.intervention import Batch, Engine, Row, RowScore
from sna_eval.intervention.joined import rows_may_join
from sna_eval.intervention.partial_passes import captured_activations, captured_outputs
from sna_eval.intervention.shortcuts import Shortcuts, find_shortcuts
from sna_eval.intervention.stream import output_columns
from sna_eval.measuring.grid import Configuration
from sna_eval.measuring.items import ItemRow, TaskItems, rows_of
from sna_eval.measuring.moved import Moved
from sna_eval.measuring.starts import (
    AtBlock,
    BehindBlock,
    LabelNeurons,
    LabelWeights,
    Route,
    Start,
    nested_updates,
)

TOKENS_PER_PASS = {"cpu": 1536}
"""Tokens in one pass by kind of device: on a CPU few enough for its caches."""
TOKENS_ON_ACCELERATOR = 32768
PADDING = 0.1
"""Share of a group's tokens that may be padding."""


@dataclass(eq=False)
class RowGroup:
    """Rows that travel together, and their batches."""

    entries: tuple[ItemRow, ...]
    device: torch.device
    _batches: dict[int, Batch] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(entry.row for entry in self.entries)

    @property
    def width(self) -> int:
        """Tokens of the longest row; the others are padded to it."""
        return max(len(row) for row in self.rows)

    @property
    def requests(self) -> list[int]:
        """Numbers of the requests that the branches answer, in order."""
        return [request for entry in self.entries for request in entry.requests]

    def repeated(self, times: int) -> Batch:
        """The group's rows, `times` over."""
        if times not in self._batches:
            self._batches[times] = Batch(self.rows * times, self.device)
        return self._batches[times]


def group_rows(
    entries: Sequence[ItemRow], *, configurations: int, tokens: int, device: torch.device
) -> list[RowGroup]:
    """Splits rows, longest first, into groups.

    **Arguments:**

    - `configurations`: how many times each row is to be run.
    - `tokens`: what a pass should hold; a row whose configurations exceed it is a group of its own.
    """
    groups, start = [], 0
    while start < len(entries):
        most = max(1, tokens // (len(entries[start].row) * configurations))
        size = alike([len(entry.row) for entry in entries[start : start + most]])
        groups.append(RowGroup(tuple(entries[start : start + size]), device))
        start += size
    return groups


def alike(lengths: Sequence[int], *, spare: int = 0) -> int:
    """How many of some rows, longest first, travel together without much padding.

    **Arguments:**

    - `spare`: tokens of padding that are little, whatever their share.
    """
    padding = 0
    for number, length in enumerate(lengths):
        padding += lengths[0] - length
        if padding > max(spare, PADDING * lengths[0] * (number + 1)):
            return number
    return len(lengths)


def tokens_per_pass(device: torch.device) -> int:
    """How many tokens one pass should hold on a kind of device."""
    return TOKENS_PER_PASS.get(device.type, TOKENS_ON_ACCELERATOR)


@dataclass(frozen=True)
class LayerPlan:
    """What a layer's configurations need."""

    layer: int
    route: Route
    neurons: LabelNeurons
    """Ranked neurons by label, as many as the largest count takes."""

    @property
    def all_neurons(self) -> list[int]:
        """One label after the other."""
        return [index for neurons in self.neurons.values() for index in neurons]


@dataclass(frozen=True, eq=False)
class Captured:
    """What a layer's configurations start from, for one group of rows."""

    hidden: torch.Tensor | None
    """What leaves the block (route `behind`) or enters it (`at`), `[row, position, d_model]`."""
    activations: torch.Tensor | None
    """Of the ranked neurons, `[row, position, neuron]`; for route `behind` alone."""


@dataclass(eq=False)
class GridPasses:
    """Forward passes of one model for grids."""

    engine: Engine
    tokens: int
    """Tokens in one pass, about."""

    def __post_init__(self) -> None:
        """Baselines are summed as precisely as `log_likelihoods` sums what they are set beside."""
        model = self.engine.model
        dtype = self.engine.softmax_dtype or next(model.parameters()).dtype
        wide = torch.promote_types(dtype, torch.float32)
        self.engine = replace(self.engine, softmax_dtype=wide)

    @cached_property
    def shortcuts(self) -> Shortcuts:
        return find_shortcuts(self.engine)

    @cached_property
    def joins(self) -> bool:
        """Whether rows of several layers may share a pass."""
        return rows_may_join(self.engine)

    def groups(self, items: TaskItems, *, max_length: int, configurations: int) -> list[RowGroup]:
        """How a task's rows travel, each as often as there are configurations."""
        rows = rows_of(items, max_length=max_length, packs=self.engine.abilities.packs)
        return group_rows(
            rows, configurations=configurations, tokens=self.tokens, device=self.engine.device
        )

    def baseline(
        self, group: RowGroup, plans: Sequence[LayerPlan]
    ) -> tuple[list[RowScore], list[Captured]]:
        """Scores a group with the unmodified model.

        **Returns:** the rows' scores, and for every plan what its configurations start from.
        """
        sites = self.engine.sites
        behind = {plan.layer: plan.all_neurons for plan in plans if plan.route == "behind"}
        at = [plan.layer for plan in plans if plan.route == "at"]
        with (
            captured_activations(sites, behind, rows=len(group.rows)) as activations,
            captured_outputs(sites, list(behind)) as left,
        ):
            scores, entered = self.engine.run(group.repeated(1), capture=at)
        hidden = {**entered, **left}
        return scores, [
            Captured(hidden.get(plan.layer), activations.get(plan.layer)) for plan in plans
        ]

    def amplified(
        self,
        group: RowGroup,
        plan: LayerPlan,
        captured: Captured,
        weights: LabelWeights,
        configurations: Sequence[Configuration],
        progress: Moved | None = None,
    ) -> torch.Tensor:
        """Scores a group once for every configuration of a layer.

        **Arguments:**

        - `weights`: which labels' neurons each direction amplifies in which rows.
        - `progress`: told of configurations as they are done.

        **Returns:** log-likelihoods, `[configuration, branch]`.
        """
        start = self._start(plan, captured, weights, configurations)
        results = []
        for part in self._parts(group, configurations):
            batch = group.repeated(len(part))
            with ExitStack() as stack:
                stack.enter_context(start.enter(part))
                if plan.route == "behind" or plan.layer < self.engine.sites.n_layers - 1:
                    shortcut = self.shortcuts.for_batch(self.engine.sites, batch)
                    stack.enter_context(shortcut)
                results.append(self.engine.log_likelihoods(batch).view(len(part), -1))
            if progress is not None:
                progress(len(part))
        return torch.cat(results)

    def _start(
        self,
        plan: LayerPlan,
        captured: Captured,
        weights: LabelWeights,
        configurations: Sequence[Configuration],
    ) -> Start:
        if plan.route != "behind":
            return AtBlock(self.engine, plan.layer, captured.hidden, plan.neurons, weights)
        assert captured.hidden is not None
        assert captured.activations is not None
        updates = nested_updates(
            captured.activations,
            output_columns(self.engine.sites, plan.layer, plan.all_neurons),
            plan.neurons,
            weights,
            sorted({configuration.n_neurons for configuration in configurations}),
        )
        return BehindBlock(self.engine, plan.layer, captured.hidden, updates)

    def _parts(
        self, group: RowGroup, configurations: Sequence[Configuration]
    ) -> Iterator[Sequence[Configuration]]:
        """Configurations in equal parts that each fill a pass."""
        room = max(1, self.tokens // (group.width * len(group.rows)))
        parts = math.ceil(len(configurations) / room)
        size = math.ceil(len(configurations) / parts)
        for first in range(0, len(configurations), size):
            yield configurations[first : first + size]
