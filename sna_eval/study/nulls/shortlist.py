"""What a ranking's grid promises, to first order, and which configurations of it are measured.

The first `k` of a layer's neurons amplified by `m` change the choosing items' mean specific
log-odds by `(m - 1) * sum of G` over them (`sna_eval.neurons.first_order`), so a whole grid costs
one cumulative sum a layer. Predictions are linear in `m - 1` and hold less the larger it is:
several multipliers are measured, of the layers that promise most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sna_eval.intervention import Intervention, Unit
from sna_eval.measuring.grid import Grid
from sna_eval.measuring.values import Floats
from sna_eval.neurons import Selected, spread_over
from sna_eval.study.nulls.rankings import Ranking

LEVELS = 2
"""Multipliers that a shortlist holds, where the grid has as many."""


@dataclass(frozen=True)
class Candidate:
    """A configuration that is measured."""

    layer: int
    n_neurons: int
    multiplier: float
    neurons: Mapping[str, tuple[int, ...]]
    """By label."""
    predicted: float
    level: int
    """Number of its multiplier among those measured."""
    place: int
    """Its layer's place among those that promise most at this multiplier, from 0."""
    unit: Unit = "mlp"

    @property
    def intervention(self) -> Intervention:
        """All labels' neurons at once."""
        every = tuple(dict.fromkeys(n for neurons in self.neurons.values() for n in neurons))
        return Intervention(self.layer, every, self.multiplier, unit=self.unit)


def shortlist(
    grid: Grid, ranking: Ranking, slopes: Mapping[int, Floats], *, size: int, unit: Unit = "mlp"
) -> list[Candidate]:
    """The configurations of a ranking that promise most, level by level.

    **Arguments:**

    - `slopes`: what doubling each neuron adds to the outcome, to first order, `{layer: [d_mlp]}`.
    - `size`: configurations at most; as many for every ranking of a grid.
    """
    levels = measured_multipliers(grid, size)
    layers = [layer for layer in grid.layers if layer in ranking]
    sums = np.stack([_sums(ranking[layer], slopes[layer], grid.n_neurons) for layer in layers])
    found = []
    for level, multiplier in enumerate(levels):
        promise = (multiplier - 1.0) * sums  # [layer, count]
        best = promise.argmax(axis=1)
        at_best = promise[np.arange(len(promise)), best]
        for place, layer in enumerate(np.argsort(-at_best, kind="stable")[: size // len(levels)]):
            count = grid.n_neurons[best[layer]]
            ranked = ranking[layers[layer]]
            found.append(
                Candidate(
                    layers[layer], count, multiplier,
                    {label: one.first(count).neurons for label, one in ranked.items()},
                    float(at_best[layer]), level, place, unit,
                )
            )  # fmt: skip
    return found


def measured_multipliers(grid: Grid, size: int) -> tuple[float, ...]:
    """The multipliers a shortlist holds, the strongest among them, weakest first."""
    ordered = sorted(grid.multipliers, key=lambda multiplier: abs(multiplier - 1.0))
    strongest = ordered[-1]
    others = spread_over(ordered[:-1], min(LEVELS, size) - 1) if min(LEVELS, size) > 1 else []
    return (*others, strongest)


def _sums(ranked: Mapping[str, Selected], slopes: Floats, counts: Sequence[int]) -> Floats:
    """Slopes summed over the first neurons of every label, `[count]`."""
    total = np.zeros(len(counts))
    for selected in ranked.values():
        running = np.concatenate([[0.0], np.cumsum(slopes[list(selected.neurons)])])
        total += running[[min(count, len(running) - 1) for count in counts]]
    return total
