"""A plan's interventions as the claim: random rankings search, and push as far as they do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sna_eval.hashing import digest
from sna_eval.intervention import Affine, Intervention, Unit
from sna_eval.measuring.values import Floats
from sna_eval.neurons import find_ranking
from sna_eval.plan import TaskPlan
from sna_eval.study.nulls.measured import Moved
from sna_eval.study.nulls.options import NullOptions
from sna_eval.study.nulls.records import CLAIM, Found, kept_digits
from sna_eval.study.nulls.shortlist import measured_multipliers
from sna_eval.study.nulls.task_search import TaskSearch

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


class PlanSearch(TaskSearch):
    """Random rankings beside interventions that are given.

    **Arguments:**

    - `together`: the interventions, at once.
    """

    def __init__(
        self, lm: SNALM, name: str, task: Any, options: NullOptions, together: Sequence[Affine]
    ) -> None:
        super().__init__(lm, name, task, options)
        self.together = tuple(together)

    @cached_property
    def _pushed_by_plan(self) -> tuple[float, float]:
        """Gain and divergence on the choosing items."""
        found = self.choosing.pushes_of([self.together])
        return float(found.gains[0]), float(found.kls[0])

    @cached_property
    def levels(self) -> Floats:
        """As far as the plan pushes, whatever multiplier was chosen."""
        count = len(measured_multipliers(self.grid, self.options.measured))
        return np.full(count, self._pushed_by_plan[1])

    def claim(self, moved: Moved | None = None) -> Found:
        """What the plan does."""
        (tested,) = self.test.measure_of([self.together])
        gain, kl = kept_digits(np.array(self._pushed_by_plan))
        neurons = [one for one in self.together if isinstance(one, Intervention)]
        multiplier = neurons[0].multiplier if neurons else 1.0
        return Found(
            draw=CLAIM,
            layer=min(one.layer for one in self.together),
            n_neurons=sum(len(one.neurons) for one in neurons),
            multiplier=multiplier,
            searched_multiplier=multiplier,
            neurons={f"layer {one.layer}": one.neurons for one in neurons},
            predicted=0.0,
            development_gain=gain,
            kl=kl,
            kl_wanted=kl,
            push_reached=True,
            gain=float(kept_digits(np.array([(tested.specific * self.test.opened).mean()]))[0]),
            specific=kept_digits(tested.specific),
            shift=kept_digits(tested.shift),
            after=tested.after,
        )

    def settings(self) -> dict[str, Any]:
        claimed = [(one.layer, one.site, repr(one)) for one in self.together]
        return {**super().settings(), "plan": digest(claimed)}


def ranking_of(plan: TaskPlan) -> str | None:
    """How a plan's neurons were ranked, where that puts neurons in an order."""
    for entry in plan.interventions:
        named = entry.found.method if entry.found is not None else None
        named = named or (entry.select.method if entry.select is not None else None)
        if named is not None and find_ranking(named).orders:
            return named
    return None


def unit_of(plan: TaskPlan) -> Unit:
    """What a plan amplifies; neurons where it amplifies both neurons and heads."""
    units = {entry.unit for entry in plan.interventions}
    return units.pop() if len(units) == 1 else "mlp"
