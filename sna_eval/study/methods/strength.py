"""The configuration of a rival method, chosen with the same budget as everything else.

Each method tries as many configurations as a random ranking measures, on the same development items
that it did not learn from, and the largest specific gain in log-odds behind the gate is taken;
among equals the gentlest. Without that a rival is judged by its defaults, and amplification by its
search (Dodge et al. 2019, arXiv:1909.03004; Wu et al. 2025, arXiv:2501.17148).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sna_eval.measuring.grid import Grid
from sna_eval.measuring.moved import Moved, scaled
from sna_eval.measuring.values import Floats
from sna_eval.neurons import spread_over
from sna_eval.plan import TaskPlan, plain_interventions
from sna_eval.study.methods.options import SHARES
from sna_eval.study.methods.variants import Variant
from sna_eval.study.nulls.measured import ChoosingItems
from sna_eval.study.nulls.shortlist import measured_multipliers

Candidate = tuple[float, TaskPlan]
"""How strongly a configuration acts, and what it does."""
Resolve = Callable[[TaskPlan], TaskPlan]
"""Finds what a plan leaves to be learned, on development items."""


@dataclass(frozen=True)
class ChosenPlan:
    """A plan at its best configuration, and what that gained on the items it was chosen on."""

    plan: TaskPlan
    strength: float
    gain: float
    tried: int


def choose_configuration(
    choosing: ChoosingItems,
    plans: Sequence[TaskPlan],
    strengths: Sequence[float],
    *,
    resolve: Resolve,
    tried: int,
    moved: Moved | None = None,
) -> ChosenPlan:
    """The best of `tried` configurations of a method.

    **Arguments:**

    - `plans`: the method in one or several layers, one entry each.
    - `strengths`: to choose from, as multiples of what was found.
    - `moved`: told of the parts of all that is tried.
    """
    candidates = at_strengths(plans, strengths, resolve=resolve, tried=tried)
    best, gain, _ = best_of(choosing, candidates, moved)
    chosen = candidates[best][1]
    return ChosenPlan(chosen, chosen.interventions[0].strength, gain, len(candidates))


def at_strengths(
    plans: Sequence[TaskPlan], strengths: Sequence[float], *, resolve: Resolve, tried: int
) -> list[Candidate]:
    """The configurations of a method that are tried: each plan at as many of the strengths."""
    plans = plans[:tried]
    each = spread_over(strengths, tried // len(plans))
    return [
        (abs(strength), _at(found, strength)) for found in map(resolve, plans) for strength in each
    ]


def across_shares(
    variant: Variant, base: TaskPlan, grid: Grid, *, resolve: Resolve, tried: int
) -> list[Candidate]:
    """A method's neurons of all layers: a few shares of them, each at multipliers of the grid."""
    multipliers = measured_multipliers(grid, tried)
    shares = SHARES[: max(1, tried // len(multipliers))]
    found = [resolve(variant.plan_across(base, share)) for share in shares]
    return [(abs(m - 1), amplified(plan, m)) for plan in found for m in multipliers]


def amplified(plan: TaskPlan, multiplier: float) -> TaskPlan:
    """The same neurons by another multiplier."""
    entries = tuple(replace(entry, multiplier=multiplier) for entry in plan.interventions)
    return replace(plan, interventions=entries)


def layers_tried(base: TaskPlan, layers: Sequence[int], tried: int) -> list[int]:
    """The plan's lowest layer, and one in the middle of the other half of the model.

    **Arguments:**

    - `layers`: of the model.
    """
    lowest = min(entry.layer for entry in base.interventions)
    if tried < 2:
        return [lowest]
    farther = max(spread_over(layers, 2), key=lambda layer: abs(layer - lowest))
    return [lowest] if farther == lowest else [lowest, farther]


def best_of(
    choosing: ChoosingItems, candidates: Sequence[Candidate], moved: Moved | None = None
) -> tuple[int, float, float]:
    """The number of the candidate that gains most, the gentlest of equals; its gain, its push."""
    part = scaled(moved, 1 / len(candidates))
    found = choosing.pushes_of([plain_interventions(plan) for _, plan in candidates], part)
    best = largest_gain(found.gains, [strength for strength, _ in candidates])
    return best, float(found.gains[best]), float(found.kls[best])


def largest_gain(gains: Sequence[float] | Floats, strengths: Sequence[float]) -> int:
    """The number of the largest gain; of equals that of the least strength, then the first."""
    return max(range(len(gains)), key=lambda n: (round(float(gains[n]), 12), -strengths[n]))


def _at(plan: TaskPlan, strength: float) -> TaskPlan:
    """Strengths are multiples of the length of the differences that a vector was made from."""
    (entry,) = plan.interventions
    told = None if entry.found is None else entry.found.difference_norm
    norm = 1.0 if told is None else told
    return replace(plan, interventions=(replace(entry, strength=round(norm * strength, 6)),))
