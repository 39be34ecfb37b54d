"""Many sets of neurons, each with a multiplier of its own, over the same rows.

Where a grid has one ranking and takes more and more of it, here every set is its own: random
rankings beside one another, or one set at several strengths. The unmodified model runs once for all
of them; sets of one layer ride together as further rows of its batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch

from sna_eval.intervention import Affine, Batch, Intervention
from sna_eval.intervention.stream import output_columns
from sna_eval.measuring.grid import Configuration
from sna_eval.measuring.items import ItemRow
from sna_eval.measuring.moved import Moved
from sna_eval.measuring.passes import Captured, GridPasses, LayerPlan, RowGroup, group_rows
from sna_eval.measuring.starts import AtBlock, BehindBlock, Route, Start
from sna_eval.measuring.values import Floats

Read = Callable[[Batch, torch.Tensor, RowGroup], torch.Tensor]
"""What is read off a pass: from a batch, log-probabilities at its scored positions, `[slot,
vocabulary]`, and the rows that the batch repeats, to values, `[branch, value]`."""
_UNION = ""  # the label that all neurons of a layer's sets are captured under


@dataclass(frozen=True, eq=False)
class SetPasses:
    """Runs sets of neurons over rows."""

    passes: GridPasses
    routes: Mapping[int, Route]

    def groups(self, rows: Sequence[ItemRow]) -> list[RowGroup]:
        """How rows travel, longest first."""
        return group_rows(
            rows, configurations=1, tokens=self.passes.tokens, device=self.passes.engine.device
        )

    def baseline(self, groups: Sequence[RowGroup], read: Read, *, requests: int) -> Floats:
        """The unmodified model, `[request, value]`."""
        engine = self.passes.engine
        with self.passes.shortcuts.everywhere(engine.model):
            return self._plain(groups, engine.slot_log_probs, read, requests=requests)

    def together(
        self,
        groups: Sequence[RowGroup],
        sets: Sequence[Sequence[Affine]],
        read: Read,
        *,
        requests: int,
        progress: Moved | None = None,
    ) -> Floats:
        """The same for interventions of any kind, those of a set at once; all blocks run anew.

        **Arguments:**

        - `progress`: told of sets as they are done, in parts.
        """
        engine, found = self.passes.engine, []
        for interventions in sets:

            def run(batch: Batch, given: Sequence[Affine] = interventions) -> torch.Tensor:
                return engine.slot_log_probs(batch, given)

            found.append(self._plain(groups, run, read, requests=requests, progress=progress))
        return np.stack(found)

    def _plain(
        self,
        groups: Sequence[RowGroup],
        run: Callable[[Batch], torch.Tensor],
        read: Read,
        *,
        requests: int,
        progress: Moved | None = None,
    ) -> Floats:
        """Values of one pass over every row, `[request, value]`."""
        found = None
        tokens = sum(group.width * len(group.rows) for group in groups)
        for group in groups:
            batch = group.repeated(1)
            values = read(batch, run(batch), group).cpu().double()
            if found is None:
                found = np.full((requests, values.shape[-1]), np.nan)
            found[group.requests] = values.numpy()
            if progress is not None:
                progress(group.width * len(group.rows) / tokens)
        assert found is not None, "rows to run"
        return found

    def measure(
        self,
        groups: Sequence[RowGroup],
        sets: Sequence[Intervention],
        read: Read,
        *,
        requests: int,
        progress: Moved | None = None,
    ) -> Floats:
        """Every set on every row, `[set, request, value]`.

        **Arguments:**

        - `sets`: at all positions; one that changes nothing gives what the model computes anyway.
        - `requests`: how many there are.
        - `progress`: told of sets as they are done, in parts.
        """
        by_layer = _by_layer(sets)
        plans = [
            self._plan(layer, [sets[n] for n in numbers]) for layer, numbers in by_layer.items()
        ]
        columns = {
            plan.layer: output_columns(self.passes.engine.sites, plan.layer, plan.all_neurons)
            for plan in plans
            if plan.route == "behind" and plan.all_neurons
        }
        found = None
        tokens = sum(group.width * len(group.rows) for group in groups)
        with self.passes.shortcuts.everywhere(self.passes.engine.model):
            for group in groups:
                share = group.width * len(group.rows) / tokens
                _, captured = self.passes.baseline(group, plans)
                for plan, left in zip(plans, captured, strict=True):
                    numbers = by_layer[plan.layer]
                    for part in self._parts(group, numbers):
                        together = [sets[number] for number in part]
                        start = self._start(plan, left, together, columns.get(plan.layer), group)
                        values = self._pass(group, plan, start, together, read)
                        if found is None:
                            found = np.full((len(sets), requests, values.shape[-1]), np.nan)
                        found[np.ix_(part, group.requests)] = values
                        if progress is not None:
                            progress(share * len(part))
        assert found is not None, "sets and rows to run"
        return found

    def _plan(self, layer: int, sets: Sequence[Intervention]) -> LayerPlan:
        union = sorted({neuron for chosen in sets for neuron in chosen.neurons})
        return LayerPlan(layer, self.routes[layer], {_UNION: tuple(union)})

    def _parts(self, group: RowGroup, numbers: Sequence[int]) -> Iterator[list[int]]:
        """Sets in equal parts that each fill a pass."""
        room = max(1, self.passes.tokens // (group.width * len(group.rows)))
        size = math.ceil(len(numbers) / math.ceil(len(numbers) / room))
        for first in range(0, len(numbers), size):
            yield list(numbers[first : first + size])

    def _start(
        self,
        plan: LayerPlan,
        captured: Captured,
        sets: Sequence[Intervention],
        columns: torch.Tensor | None,
        group: RowGroup,
    ) -> Start:
        engine = self.passes.engine
        if plan.route != "behind":
            neurons = {str(place): chosen.neurons for place, chosen in enumerate(sets)}
            apart = torch.eye(len(sets), device=engine.device)
            weights = {
                str(place): apart[place].expand(len(group.rows), -1) for place in range(len(sets))
            }
            return AtBlock(engine, plan.layer, captured.hidden, neurons, weights)
        assert captured.hidden is not None
        updates = {
            (str(place), len(chosen.neurons)): _update(captured, plan, chosen, columns)
            for place, chosen in enumerate(sets)
        }
        return BehindBlock(engine, plan.layer, captured.hidden, updates)

    def _pass(
        self,
        group: RowGroup,
        plan: LayerPlan,
        start: Start,
        sets: Sequence[Intervention],
        read: Read,
    ) -> Floats:
        """Values of some sets of one layer, `[set, branch, value]`."""
        engine, batch = self.passes.engine, group.repeated(len(sets))
        with ExitStack() as stack:
            stack.enter_context(
                start.enter(
                    [
                        Configuration(
                            chosen.layer, len(chosen.neurons), chosen.multiplier, str(place)
                        )
                        for place, chosen in enumerate(sets)
                    ]
                )
            )
            if plan.route == "behind" or plan.layer < engine.sites.n_layers - 1:
                stack.enter_context(self.passes.shortcuts.for_batch(engine.sites, batch))
            values = read(batch, engine.slot_log_probs(batch), group)
        return np.asarray(values.cpu().double().view(len(sets), -1, values.shape[-1]).numpy())


def _by_layer(sets: Sequence[Intervention]) -> dict[int, list[int]]:
    """Numbers of the sets of each layer, lowest first."""
    layers: dict[int, list[int]] = {}
    for number, chosen in sorted(enumerate(sets), key=lambda entry: (entry[1].layer, entry[0])):
        layers.setdefault(chosen.layer, []).append(number)
    return layers


def _update(
    captured: Captured, plan: LayerPlan, wanted: Intervention, columns: torch.Tensor | None
) -> torch.Tensor:
    """What doubling a set's neurons adds to the stream, `[row, position, d_model]`."""
    assert captured.hidden is not None
    wide = torch.promote_types(captured.hidden.dtype, torch.float32)
    if not wanted.neurons:
        return torch.zeros_like(captured.hidden, dtype=wide)
    assert captured.activations is not None
    assert columns is not None
    place_of = {neuron: place for place, neuron in enumerate(plan.all_neurons)}
    places = torch.tensor([place_of[neuron] for neuron in wanted.neurons], device=columns.device)
    chosen = captured.activations.index_select(-1, places.to(captured.activations.device))
    return chosen.to(wide) @ columns.index_select(0, places).to(chosen.device, wide)
