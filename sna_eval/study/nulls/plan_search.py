"""A plan's interventions as the claim: random rankings search, and push as far as they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sna_eval.cache import digest
from sna_eval.intervention import Affine, Intervention, Unit
from sna_eval.measuring.moved import Moved
from sna_eval.measuring.values import Floats
from sna_eval.neurons import (
    RANKINGS,
    UNLABELLED,
    Search,
    SearchConfig,
    Selected,
    stand_ins,
)
from sna_eval.neurons.rankings import USUAL
from sna_eval.plan import TaskPlan
from sna_eval.study.nulls.options import NullOptions
from sna_eval.study.nulls.push import Layered, Pushed, equal_push
from sna_eval.study.nulls.records import CLAIM, Found, kept_digits
from sna_eval.study.nulls.shortlist import measured_multipliers
from sna_eval.study.nulls.task_search import TaskSearch

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


class PlanSearch(TaskSearch):
    """Random rankings beside interventions that are given.

    Beside neurons that were taken out of all layers together, random ones are of the same layers,
    as many in each: none of them searches a layer. Each takes the best of as many draws as rankings
    measure configurations.

    **Arguments:**

    - `together`: the interventions, at once.
    - `across`: whether they are the neurons of one search over all layers.
    """

    def __init__(
        self,
        lm: SNALM,
        name: str,
        task: Any,
        options: NullOptions,
        together: Sequence[Affine],
        *,
        across: bool = False,
    ) -> None:
        super().__init__(lm, name, task, options)
        self.together, self.across = tuple(together), across

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

    def nulls(self, draws: Sequence[int], moved: Moved | None = None) -> list[Found]:
        if not self.across:
            return super().nulls(draws, moved)
        found = []
        for draw in draws:
            found.append(self._random_across(draw))
            if moved is not None:
                moved(1.0)
        return found

    def _random_across(self, draw: int) -> Found:
        """The best of some random sets, none of their neurons the plan's, pushing as far."""
        sets = self.drawn(draw)
        pushes = self.choosing.pushes_of([drawn.together for drawn in sets])
        best = int(pushes.gains.argmax())
        pushed = self.pushed_as_far(sets[best], float(pushes.kls[best]))
        together = pushed.intervention.together
        (tested,) = self.test.measure_of([together])
        gain = (tested.specific * self.test.opened).mean()
        told = np.array([pushes.gains[best], pushed.kl, pushed.wanted, gain])
        development_gain, kl, kl_wanted, gain = kept_digits(told)
        return Found(
            draw=draw,
            layer=min(one.layer for one in together),
            n_neurons=len(pushed.intervention.neurons),
            multiplier=pushed.intervention.multiplier,
            searched_multiplier=sets[best].multiplier,
            neurons={f"layer {one.layer}": one.neurons for one in together},
            predicted=0.0,
            development_gain=development_gain,
            kl=kl,
            kl_wanted=kl_wanted,
            push_reached=pushed.reached,
            gain=gain,
            specific=kept_digits(tested.specific),
            shift=kept_digits(tested.shift),
            after=tested.after,
        )

    def pushed_as_far(self, neurons: Layered, kl: float) -> Pushed[Layered]:
        """Neurons of several layers at the multiplier that pushes as far as the plan.

        **Arguments:**

        - `kl`: how far they push at the multiplier that they have, in nats.
        """
        (found,) = equal_push([neurons], [kl], [self._pushed_by_plan[1]], self._kls)
        return found

    def _kls(self, sets: Sequence[Layered]) -> Floats:
        return self.choosing.pushes_of([drawn.together for drawn in sets]).kls

    def drawn(self, draw: int) -> list[Layered]:
        """The random sets that one ranking tries, at the plan's multiplier."""
        return [self._drawn(draw, number) for number in range(self.options.measured)]

    def _drawn(self, draw: int, number: int) -> Layered:
        return drawn_beside(
            self.together, self._search_here, seed=[self.options.seed, draw, number]
        )

    @cached_property
    def _search_here(self) -> Search:
        """The prompts' activations in the plan's layers."""
        asked = self.options
        config = SearchConfig(
            USUAL, asked.pooling, max_prompts=asked.max_prompts, sinks=asked.sinks, unit=asked.unit
        )
        layers = [one.layer for one in self.together]
        return Search(self.lm.bench, self.ranking_examples, config, layers)

    def settings(self) -> dict[str, Any]:
        claimed = [(one.layer, one.site, repr(one)) for one in self.together]
        across = {"across_layers": True} if self.across else {}
        return {**super().settings(), "plan": digest(claimed), **across}


def drawn_beside(together: Sequence[Affine], search: Search, *, seed: Sequence[int]) -> Layered:
    """Random neurons in the layers of given ones, as many in each, alike in push.

    **Arguments:**

    - `together`: the given ones, with the multiplier that the drawn ones have.
    - `search`: has observed the layers.
    - `seed`: that of the study, the draw's number, and the number of the set among the draw's.
    """
    parts, (study, *numbers) = [], seed
    for one in together:
        assert isinstance(one, Intervention), "neurons that a search chose"
        chosen = {UNLABELLED: Selected(one.neurons, (0.0,) * len(one.neurons))}
        push = search.observed.push[one.layer]
        of_layer = int(digest([study, one.layer, *numbers]), 16)
        drawn = stand_ins(push, chosen, seed=of_layer)[UNLABELLED]
        parts.append(replace(one, neurons=drawn.neurons))
    return Layered(tuple(parts), parts[0].multiplier)


def across_layers(plan: TaskPlan) -> bool:
    """Whether a plan's neurons were taken out of all layers together."""
    found = [entry.found for entry in plan.interventions]
    one_unit = len({entry.unit for entry in plan.interventions}) == 1
    return one_unit and all(record is not None and record.across_layers is True for record in found)


def ranking_of(plan: TaskPlan) -> str | None:
    """How a plan's neurons were ranked, where that puts neurons in an order."""
    for entry in plan.interventions:
        named = entry.found.method if entry.found is not None else None
        named = named or (entry.select.method if entry.select is not None else None)
        if named is not None and RANKINGS.find(named).orders:
            return named
    return None


def unit_of(plan: TaskPlan) -> Unit:
    """What a plan amplifies; neurons where it amplifies both neurons and heads."""
    units = {entry.unit for entry in plan.interventions}
    return units.pop() if len(units) == 1 else "mlp"
