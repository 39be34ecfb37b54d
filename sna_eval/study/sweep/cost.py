"""What a sweep costs before it runs: configurations, rows, floating-point operations, time.

Counted are the matrix products of blocks, attention and vocabulary projection, at two operations a
multiplication, as profilers count them. Norms, activations, rank-k updates and the ranking of
neurons are left out: together they stay far below the rest.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from sna_eval.intervention import base_model
from sna_eval.intervention.decoder import text_config
from sna_eval.measuring.passes import LayerPlan, RowGroup
from sna_eval.measuring.starts import Route
from sna_eval.study.sweep.screening.prediction import RIVALS
from sna_eval.study.sweep.sweep import Sweep
from sna_eval.study.sweep.swept_task import SweptTask

_TRIAL_SECONDS = 1.0


@dataclass(frozen=True)
class Cost:
    """An estimate."""

    configurations: int
    rows: int
    """Rows that are run, one for each configuration of each row of each item."""
    flops: float
    seconds: float
    run: int | None = None
    """Of a screened sweep: configurations that are run on some items at least, at most."""

    def __str__(self) -> str:
        part = "" if self.run is None else f" (at most {self.run:,} of them run)"
        return (
            f"{self.configurations:,} configurations{part}, {self.rows:,} rows, "
            f"{self.flops:.2e} FLOPs, about {_spoken(self.seconds)} on this machine"
        )


@dataclass(eq=False)
class CostModel:
    """Counts operations of one model's passes."""

    sweep: Sweep

    def estimate(self) -> Cost:
        """The whole sweep's cost; the time from a short trial on its own rows."""
        configurations = run = 0
        rows = flops = 0.0
        for name, subject in self.sweep.subjects.items():
            groups, grid = self.sweep.groups(name), subject.grid
            share = self._share(subject)
            configurations += len(grid)
            run += self._run(subject)
            rows += share * len(grid) * sum(len(group.rows) for group in groups)
            for group in groups:
                flops += self.baseline_flops(group)
                each = share * grid.per_layer
                flops += sum(each * self.flops(group, layer) for layer in grid.layers)
            flops += self.prediction_flops(subject)
        seconds = flops / self.measured_rate()
        screened = self.sweep.options.screen is not None
        return Cost(configurations, round(rows), flops, seconds, run if screened else None)

    def _run(self, subject: SweptTask) -> int:
        """Configurations that are run, in full or in part."""
        screen, size = self.sweep.options.screen, len(subject.grid)
        return size if screen is None else screen.n_run(size)

    def _share(self, subject: SweptTask) -> float:
        """Cost of the configurations that are run, over that of all of them."""
        screen, size = self.sweep.options.screen, len(subject.grid)
        return 1.0 if screen is None else screen.effort(size, len(subject.items.items)) / size

    def prediction_flops(self, subject: SweptTask) -> float:
        """Operations of a screened sweep's gradients: back costs as much as there, for weights
        have none. Attention's are counted so too, though they cost somewhat more."""
        if self.sweep.options.screen is None:
            return 0.0
        items = subject.items
        rivals = [min(RIVALS, max(0, len(item.choices) - 1)) for item in items.items]
        lengths = [
            len(item.requests[gold].context) + len(item.requests[gold].continuation) - 1
            for item, gold in zip(items.items, items.gold, strict=True)
        ]
        tokens = sum(length * (1 + others) for length, others in zip(lengths, rivals, strict=True))
        longest = max(lengths)
        weights = sum(self._matrices(block) for block in self.sweep.sites.blocks)
        attention = 4.0 * longest * self.sweep.sites.d_model * self.sweep.sites.n_layers
        return 2.0 * tokens * (2.0 * weights + attention)

    def baseline_flops(self, group: RowGroup) -> float:
        """Operations of the unmodified pass over a group."""
        blocks = range(self.sweep.sites.n_layers)
        return sum(self._block(group, block) for block in blocks) + self._head(group)

    def flops(self, group: RowGroup, layer: int) -> float:
        """Operations of one configuration of a layer over a group."""
        route: Route = self.sweep.routes[layer]
        first = {"behind": layer + 1, "at": layer, "full": 0}[route]
        last = self.sweep.sites.n_layers - 1
        narrows = route == "behind" or layer < last
        blocks = sum(
            self._block(group, block, narrow=narrows and block == last)
            for block in range(first, last + 1)
        )
        return blocks + self._head(group)

    def _block(self, group: RowGroup, block: int, *, narrow: bool = False) -> float:
        tokens = group.width * len(group.rows)
        attention = 4.0 * group.width * tokens * self.sweep.sites.d_model
        weights = self._matrices(self.sweep.sites.blocks[block])
        narrowed = self._narrowed if narrow else 0
        return 2.0 * ((weights - narrowed) * tokens + narrowed * _slots(group)) + attention

    def _head(self, group: RowGroup) -> float:
        head = base_model(self.sweep.lm.model).get_output_embeddings()  # type: ignore[operator]
        return 2.0 * _slots(group) * (head.weight.numel() if head is not None else 0)

    @cached_property
    def _narrowed(self) -> int:
        """The last block's weights that are used at scored positions alone."""
        last = self.sweep.sites.blocks[-1]
        paths = self.sweep.passes.shortcuts.narrow
        return sum(self._matrices(last.get_submodule(path)) for path in paths)

    def _matrices(self, module: nn.Module) -> int:
        """Weights that a token meets: of a mixture's experts, those that it is routed to."""
        config, experts = text_config(self.sweep.lm.model), self.sweep.sites.n_experts
        names = ("num_experts_per_tok", "moe_k", "moe_top_k")
        routed = next((getattr(config, name) for name in names if hasattr(config, name)), 1)
        plain, stacked = (
            sum(parameter.numel() for parameter in module.parameters() if parameter.dim() == dim)
            for dim in (2, 3)
        )
        return plain + (stacked * int(routed) // experts if experts else 0)

    def measured_rate(self) -> float:
        """Operations per second, from passes of the middle layer over a row of middle length."""
        name = max(self.sweep.subjects, key=lambda task: len(self.sweep.subjects[task].grid))
        subject, groups = self.sweep.subjects[name], self.sweep.groups(name)
        group = groups[len(groups) // 2]
        layer = subject.grid.layers[len(subject.grid.layers) // 2]
        neurons = {"": tuple(range(subject.grid.largest_count))}
        plan = LayerPlan(layer, self.sweep.routes[layer], neurons)
        passes = self.sweep.passes
        fits = max(1, passes.tokens // (group.width * len(group.rows)))
        configurations = subject.grid.at(layer)[:fits]
        every = torch.ones(len(group.rows), 1, device=group.device)
        weights = dict.fromkeys(subject.grid.directions, every)
        per_run = len(configurations) * self.flops(group, layer)
        with passes.shortcuts.everywhere(passes.engine.model):
            _, (captured,) = passes.baseline(group, [plan])
            passes.amplified(group, plan, captured, weights, configurations)  # warms up
            runs, start = 0, time.perf_counter()
            while time.perf_counter() - start < _TRIAL_SECONDS:
                passes.amplified(group, plan, captured, weights, configurations)
                runs += 1
            return runs * per_run / (time.perf_counter() - start)


def _slots(group: RowGroup) -> int:
    """Positions of a group whose next token is predicted."""
    return len(group.repeated(1).slot_rows)


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
