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
from sna_eval.intervention.config import text_config
from sna_eval.measuring.grid_passes import LayerPlan
from sna_eval.measuring.layout import RowGroup
from sna_eval.measuring.starts import Route
from sna_eval.study.sweep.sweep import Sweep

_TRIAL_SECONDS = 1.0


@dataclass(frozen=True)
class Cost:
    """An estimate."""

    configurations: int
    rows: int
    """Rows that are run, one for each configuration of each row of each item."""
    flops: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.configurations:,} configurations, {self.rows:,} rows, {self.flops:.2e} FLOPs, "
            f"about {_spoken(self.seconds)} on this machine"
        )


@dataclass(eq=False)
class CostModel:
    """Counts operations of one model's passes."""

    sweep: Sweep

    def estimate(self) -> Cost:
        """The whole sweep's cost; the time from a short trial on its own rows."""
        configurations = rows = 0
        flops = 0.0
        for name, subject in self.sweep.subjects.items():
            groups = self.sweep.groups(name)
            configurations += len(subject.grid)
            rows += len(subject.grid) * sum(len(group.rows) for group in groups)
            for group in groups:
                flops += self.baseline_flops(group)
                each = subject.grid.per_layer
                flops += sum(each * self.flops(group, own) for own in subject.grid.layers)
        return Cost(configurations, rows, flops, flops / self.measured_rate())

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
            sum(own.numel() for own in module.parameters() if own.dim() == dim) for dim in (2, 3)
        )
        return plain + (stacked * int(routed) // experts if experts else 0)

    def measured_rate(self) -> float:
        """Operations per second, from passes of the middle layer over a row of middle length."""
        name = max(self.sweep.subjects, key=lambda own: len(self.sweep.subjects[own].grid))
        subject, groups = self.sweep.subjects[name], self.sweep.groups(name)
        group = groups[len(groups) // 2]
        layer = subject.grid.layers[len(subject.grid.layers) // 2]
        neurons = {"": tuple(range(subject.grid.largest_count))}
        plan = LayerPlan(layer, self.sweep.routes[layer], neurons)
        passes = self.sweep.passes
        configurations = subject.grid.at(layer)
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
