"""The configuration of a rival method, chosen with the same budget as everything else.

Each method tries as many configurations as a random ranking measures, on the same development items
that it did not learn from, and the largest specific gain in log-odds behind the gate is taken;
among equals the gentlest. Without that a rival is judged by its defaults, and amplification by its
search (Dodge et al. 2019, arXiv:1909.03004; Wu et al. 2025, arXiv:2501.17148).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sna_eval.neurons import spread_over
from sna_eval.plan import TaskPlan, plain_interventions
from sna_eval.study.nulls.measured import ChoosingItems

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
) -> ChosenPlan:
    """The best of `tried` configurations of a method.

    **Arguments:**

    - `plans`: the method in one or several layers, one entry each.
    - `strengths`: to choose from, as multiples of what was found.
    """
    plans = plans[:tried]
    each = spread_over(strengths, tried // len(plans))
    candidates = [
        (abs(strength), _at(found, strength)) for found in map(resolve, plans) for strength in each
    ]
    best, gain, _ = best_of(choosing, candidates)
    chosen = candidates[best][1]
    return ChosenPlan(chosen, chosen.interventions[0].strength, gain, len(candidates))


def best_of(
    choosing: ChoosingItems, candidates: Sequence[tuple[float, TaskPlan]]
) -> tuple[int, float, float]:
    """The number of the candidate that gains most, the gentlest of equals; its gain, its push.

    **Arguments:**

    - `candidates`: how strongly each acts, and what it does.
    """
    found = choosing.pushes_of([plain_interventions(plan) for _, plan in candidates])
    gains = found.gains
    best = max(
        range(len(candidates)), key=lambda n: (round(float(gains[n]), 12), -candidates[n][0])
    )
    return best, float(gains[best]), float(found.kls[best])


def _at(plan: TaskPlan, strength: float) -> TaskPlan:
    """Strengths are multiples of the length of the differences that a vector was made from."""
    (entry,) = plan.interventions
    told = None if entry.found is None else entry.found.difference_norm
    norm = 1.0 if told is None else told
    return replace(plan, interventions=(replace(entry, strength=round(norm * strength, 6)),))
