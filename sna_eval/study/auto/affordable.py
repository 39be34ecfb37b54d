"""What a budget pays for: configurations, the items they are measured on, and a grid of so many."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sna_eval.harness.tasks.development import MAX_EXAMPLES
from sna_eval.harness.tasks.plan_makers import Budget
from sna_eval.measuring.grid import Grid
from sna_eval.neurons import neutral_sentences, spread_over
from sna_eval.study.sweep import CostModel, Sweep, SweepOptions

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

ITEMS = 100
"""Items that a configuration is measured on; a bound on the mean needs some dozens."""
FEWEST_ITEMS = 24
FEWEST_CONFIGURATIONS = 16
"""Before fewer are tried, items are left out."""


@dataclass(frozen=True)
class Affordable:
    """The size of a sweep."""

    configurations: int
    items: int
    """At most; a split may hold fewer."""


def affordable(
    budget: Budget, options: SweepOptions, lm: SNALM, name: str, task: Any
) -> Affordable:
    """What a budget pays for on this machine; a number of configurations is taken as it is.

    **Arguments:**

    - `options`: of the sweep, before it is narrowed.
    """
    if budget.seconds is None:
        return Affordable(budget.configurations, ITEMS)
    start = time.perf_counter()
    trial = Sweep(replace(options, limit=ITEMS), lm=lm, tasks={name: task})
    each, fixed = _seconds(trial, name)
    left = max(0.0, budget.seconds - (time.perf_counter() - start) - fixed)
    subject = trial.subjects[name]
    return share_out(left / each, items=len(subject.items.items), most=len(subject.grid))


def share_out(measurements: float, *, items: int, most: int) -> Affordable:
    """Shares measurements, one a configuration and item, out over both.

    **Arguments:**

    - `items`: how many are at hand, `ITEMS` at most.
    - `most`: configurations of the full grid. What a budget pays for beyond it buys items.
    """
    configurations = int(measurements // items)
    if configurations < FEWEST_CONFIGURATIONS:
        fewer = int(measurements // FEWEST_CONFIGURATIONS)
        items = min(items, max(FEWEST_ITEMS, fewer))
        return Affordable(max(1, min(most, int(measurements // items))), items)
    if configurations > most:
        return Affordable(most, min(MAX_EXAMPLES, max(items, int(measurements // most))))
    return Affordable(configurations, items)


def _seconds(trial: Sweep, name: str) -> tuple[float, float]:
    """Seconds for one configuration of one item, and for what comes before them.

    Before them, prompts and neutral text run once for the ranking of neurons, and the items once
    for the baseline. The prompts are taken to be as long as the items.
    """
    costs = CostModel(trial)
    subject, groups = trial.subjects[name], trial.groups(name)
    items = len(subject.items.items)
    swept = sum(costs.flops(group, layer) for group in groups for layer in subject.grid.layers)
    once = sum(costs.baseline_flops(group) for group in groups)
    texts = len(subject.examples.prompts) + len(neutral_sentences())
    rate = costs.measured_rate()
    each = swept / len(subject.grid.layers) / items / rate
    return each, once * (1 + texts / items) / rate


_SHAPES = ((1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (4, 5), (5, 8), (7, 12))
"""Counts and multipliers of a layer, from coarse to the paper's own."""
_LEAST = 4
"""Configurations below which a layer is left out rather than thinned further."""


def small_grid(full: Grid, configurations: int) -> Grid:
    """At most `configurations` of `full`: every layer if each gets four, else evenly spaced ones.

    Layers differ more than counts or multipliers do, so they are thinned last.
    """
    directions = len(full.directions)
    room = max(1, configurations // directions)
    layers = min(len(full.layers), max(1, room // _LEAST))
    counts, multipliers = _shape(full, room // layers)
    return replace(
        full,
        layers=tuple(spread_over(full.layers, layers)),
        n_neurons=tuple(spread_over(full.n_neurons, counts)),
        multipliers=tuple(spread_over(full.multipliers, multipliers)),
    )


def _shape(full: Grid, room: int) -> tuple[int, int]:
    """The finest shape that fits into `room`, no finer than the full grid's."""
    shapes = [
        (min(counts, len(full.n_neurons)), min(multipliers, len(full.multipliers)))
        for counts, multipliers in _SHAPES
    ]
    return max((shape for shape in shapes if _size(shape) <= max(1, room)), key=_size)


def _size(shape: Sequence[int]) -> int:
    return shape[0] * shape[1]
