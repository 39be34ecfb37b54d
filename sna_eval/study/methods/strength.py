"""The strength of a steering vector, chosen on development items.

Of the strengths asked for, the one with the largest mean gain over the development items whose gate
opens is taken: of P(target), or of accuracy where items have choices; among equals the smallest.
Where a gate reads the next token's distribution, all development items count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sna_eval.intervention import Affine
from sna_eval.measuring.baselines import opened
from sna_eval.measuring.scores import log_likelihoods
from sna_eval.measuring.subjects import Subject, task_subject
from sna_eval.measuring.values import item_values, keep_baseline_where_not_finite
from sna_eval.plan import TaskPlan

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


@dataclass(frozen=True)
class ChosenStrength:
    """A strength, and what it gained on development items."""

    plan: TaskPlan
    strength: float
    gain: float


def choose_strength(
    lm: SNALM, task: Any, plan: TaskPlan, strengths: Sequence[float], *, norm: float = 1.0
) -> ChosenStrength:
    """A resolved plan of one steering vector, at its best strength.

    **Arguments:**

    - `norm`: what strengths are multiples of; for a unit vector the length of the differences that
        it was made from.
    """
    subject = task_subject(task.config.task, task, lm, split="development")
    plans = [_at(plan, round(norm * own, 6)) for own in strengths]
    sets = [_interventions(own) for own in plans]
    scores = log_likelihoods(lm.engine, subject, sets)
    gains = _gains(subject, plan, scores)
    best = max(range(len(plans)), key=lambda n: (round(float(gains[n]), 12), -abs(strengths[n])))
    return ChosenStrength(plans[best], plans[best].interventions[0].strength, float(gains[best]))


def _at(plan: TaskPlan, strength: float) -> TaskPlan:
    entries = tuple(replace(entry, strength=strength) for entry in plan.interventions)
    return replace(plan, interventions=entries)


def _interventions(plan: TaskPlan) -> list[Affine]:
    return [own for entry in plan.interventions for own in entry.built()]


def _gains(subject: Subject, plan: TaskPlan, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean gain of every strength over all items, those with a closed gate unchanged."""
    items = subject.items
    assert items is not None
    kept = keep_baseline_where_not_finite(items, scores[1:], scores[0])
    before, after = item_values(items, scores[0]), item_values(items, kept)
    if before.correct is not None and after.correct is not None:
        gain = after.correct.astype(float) - before.correct.astype(float)
    else:
        gain = after.prob - before.prob
    return np.asarray((gain * opened(items, plan.gate, scores[0])).mean(axis=-1))
