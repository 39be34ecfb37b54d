"""One task's methods, searched alike on the same development items, then run on the test items.

Half of the development items are learned from, the other half chooses. Methods that amplify a
ranking's neurons are searched as random rankings are, and pushed as far as the plan; others try as
many configurations.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from sna_eval.cache import digest
from sna_eval.harness.tasks.contexts import Contexts
from sna_eval.harness.tasks.development import examples_of
from sna_eval.harness.tasks.questions import output_type
from sna_eval.intervention import Affine, Intervention, Vector
from sna_eval.measuring.items import development_fingerprint, items_fingerprint
from sna_eval.measuring.moved import Moved
from sna_eval.methods import Examples, Workbench
from sna_eval.plan import (
    PlannedIntervention,
    TaskPlan,
    plain_interventions,
    resolve_task,
    task_fingerprint,
)
from sna_eval.plan.applying import BOTH, follows_choices
from sna_eval.study.bars import Say, say_nothing
from sna_eval.study.methods.evaluating import Outcome, evaluate
from sna_eval.study.methods.options import MethodsOptions
from sna_eval.study.methods.strength import (
    ChosenPlan,
    across_shares,
    amplified,
    best_of,
    choose_configuration,
    layers_tried,
)
from sna_eval.study.methods.units import KeptUnits, MethodUnit
from sna_eval.study.methods.variants import (
    EQUAL_ENTROPY,
    OTHER_LAYER,
    RANDOM,
    Variant,
    other_layers,
    ranking_of_row,
)
from sna_eval.study.nulls import Found, NullOptions, SearchedNull
from sna_eval.study.nulls.plan_search import PlanSearch, across_layers, ranking_of, unit_of
from sna_eval.study.nulls.push import Layered
from sna_eval.study.nulls.records import TestItems
from sna_eval.study.nulls.searching import run_search

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


class TaskMethods:
    """Measures one task's methods with one model; parts are made when first needed.

    **Arguments:**

    - `base`: the task's own plan.
    - `output`: folder that searches with random rankings are kept in.
    - `quiet`: whether to show no progress of single evaluations and of those searches.
    - `say`: told of a method's stages.
    """

    def __init__(
        self,
        lm: SNALM,
        name: str,
        task: Any,
        base: TaskPlan,
        options: MethodsOptions,
        output: str | Path | None,
        *,
        quiet: bool,
        say: Say = say_nothing,
    ) -> None:
        self._lm, self._name, self._task, self._options = lm, name, task, options
        self._given, self._quiet, self._say = base, quiet, say
        self._folder = None if output is None else Path(output) / "nulls" / quote(name, safe="")
        self._bench = replace(lm.bench, batch_size=options.batch_size)

    @property
    def items_hash(self) -> str:
        """Of the items that are measured, and of those that are searched on."""
        limit = self._options.limit
        measured = items_fingerprint(self._task, self._lm, split="test", limit=limit)
        return digest([measured, development_fingerprint(self._task, self._lm)])

    @cached_property
    def base(self) -> TaskPlan:
        """The task's own plan, with its neurons."""
        return self._resolved(self._given)

    @cached_property
    def search(self) -> PlanSearch:
        """Rankings beside the plan, which push as far."""
        options = NullOptions(
            select=ranking_of(self.base), unit=unit_of(self.base), gate=self.base.gate,
            draws=self._options.random_draws,
            measured=self._options.tried, limit=self._options.limit, spread=False,
            seed=self._options.seed,
        )  # fmt: skip
        together = _towards_all(self.base)
        found = PlanSearch(
            self._lm, self._name, self._task, options, together, across=across_layers(self.base)
        )
        found.quiet = self._quiet
        return found

    @cached_property
    def nulls(self) -> SearchedNull:
        return run_search(self.search, output=self._folder, quiet=self._quiet)

    def has(self, variant: Variant) -> bool:
        """Whether there is anything for a method to amplify."""
        return variant.label != OTHER_LAYER or bool(self._other_layers)

    def unit(self, variant: Variant) -> MethodUnit:
        """One method: search, choice, the gated run, the ungated one."""
        begin = partial(self._begin, variant.label)
        started = time.monotonic()
        plan, strength, tried = self._chosen(variant, begin("search", 0.4))
        gated = self._evaluated(plan, begin("behind the gate", 0.2))
        seconds = time.monotonic() - started
        always = replace(plan, gate=replace(plan.gate, mode="always"))
        everywhere = self._evaluated(always, begin("without the gate", 0.2))
        specific, kl = self._specific(plan, begin("other prompts", 0.2))
        return MethodUnit(
            label=variant.label, method=variant.method, task=self._name, measure=gated.measure,
            before=gated.before, after=gated.after, everywhere=everywhere.after,
            zones=gated.zones, amplified=gated.amplified, strength=strength,
            seconds=round(seconds, 3), fingerprint=task_fingerprint(plan),
            sees_answer=plan.sees_answer, oracle=plan.oracle, specific=specific, tried=tried, kl=kl,
        )  # fmt: skip

    def _begin(self, label: str, stage: str, share: float) -> Moved:
        """Says that a stage of a method begins; returns what is told of its parts."""
        what = f"{label}, {stage}"
        self._say(what, 0)
        return lambda part: self._say(what, part * share)

    def _evaluated(self, plan: TaskPlan, moved: Moved) -> Outcome:
        limit, quiet = self._options.limit, self._quiet
        found = evaluate(self._lm, self._name, self._task, plan, limit=limit, quiet=quiet)
        moved(1)
        return found

    def steps(self, variant: Variant) -> int:
        """What a method counts for in a bar; random rankings have one of their own."""
        return 1

    def units(self, variant: Variant, kept: KeptUnits) -> list[MethodUnit]:
        """A variant's units, measured where they are not kept."""
        if variant.label == RANDOM:
            return self.random_units()
        if not self.has(variant):
            return []
        return [kept.get(variant.label, partial(self.unit, variant))]

    def random_units(self) -> list[MethodUnit]:
        """What every random ranking comes to."""
        started = time.monotonic()
        nulls = self.nulls
        seconds = (time.monotonic() - started) / max(1, len(nulls.nulls))
        choices = output_type(self._task) == "multiple_choice"
        return [
            replace(
                _random_unit(self._name, nulls.items, null, choices=choices, seconds=seconds),
                tried=self._options.tried,
            )
            for null in nulls.nulls
        ]

    def plan_of(self, variant: Variant) -> TaskPlan:
        """A method's plan, searched or learned."""
        return self._chosen(variant)[0]

    def _chosen(
        self, variant: Variant, moved: Moved | None = None
    ) -> tuple[TaskPlan, float | None, int]:
        """A method's plan, its strength, and how many configurations were tried."""
        if variant.by_ranking:
            search, others = self.search, self._other_layers
            ranking = ranking_of_row(variant.label, search.rankings, search.profile, others)
            (found,) = search.search_all({0: ranking}, moved)
            return self._planned(found), None, self._options.tried
        if variant.label == EQUAL_ENTROPY:
            return self._equal_entropy(variant), None, 1
        if variant.across_layers:
            return self._best_across(variant, moved)
        if not variant.has_strength:
            return self._resolved(variant.plan(self.base)), None, 1
        found_plan = self._best_configuration(variant, moved)
        return found_plan.plan, found_plan.strength, found_plan.tried

    @property
    def _other_layers(self) -> list[int]:
        return other_layers(self.base, self.search.grid.layers)

    def _planned(self, found: Found) -> TaskPlan:
        entry = PlannedIntervention(
            found.layer, found.multiplier, neurons=found.neurons, direction=BOTH,
            unit=self.search.options.unit,
        )  # fmt: skip
        return replace(self.base, interventions=(entry,))

    def _best_configuration(self, variant: Variant, moved: Moved | None) -> ChosenPlan:
        plans = [variant.plan(self.base, layer) for layer in self._layers(variant)]
        return choose_configuration(
            self.search.choosing, plans, self._options.strengths,
            resolve=self._learned, tried=self._options.tried, moved=moved,
        )  # fmt: skip

    def _best_across(self, variant: Variant, moved: Moved | None) -> tuple[TaskPlan, None, int]:
        """The best of a few shares and multipliers, as many as everything else tries, scaled until
        it pushes as far as the plan."""
        candidates = across_shares(
            variant, self.base, self.search.grid,
            resolve=self._learned, tried=self._options.tried,
        )  # fmt: skip
        best, _, kl = best_of(self.search.choosing, candidates, moved)
        chosen = candidates[best][1]
        parts = [one for one in plain_interventions(chosen) if isinstance(one, Intervention)]
        pushed = self.search.pushed_as_far(Layered(tuple(parts), parts[0].multiplier), kl)
        plan = amplified(chosen, pushed.intervention.multiplier)
        return plan, None, len(candidates)

    def _layers(self, variant: Variant) -> list[int]:
        """Those that a method is tried in."""
        tried = 1 if variant.method == "temperature" else self._options.tried
        return layers_tried(self.base, self._lm.sites.layers, tried)

    def _equal_entropy(self, variant: Variant) -> TaskPlan:
        """As undecided as the plan leaves the model on the choosing items."""
        choosing = self.search.choosing
        entropy = float(choosing.pushes_of([self.search.together]).entropies[0])
        value = Vector.of([choosing.temperature_of(entropy)])
        (entry,) = variant.plan(self.base, self._lm.sites.layers[-1]).interventions
        return replace(
            self.base, interventions=(replace(entry, parameters={"temperature": value}),)
        )

    def _specific(self, plan: TaskPlan, moved: Moved) -> tuple[tuple[float, ...], float | None]:
        """Specific changes of the test items and the push on the choosing items."""
        if plan.prompt:
            return (), None
        together = _towards_all(plan)
        (tested,) = self.search.test.measure_of([together], moved)
        kl = self.search.choosing.pushes_of([together]).kls[0]
        return tuple(map(float, tested.specific)), float(kl)

    def _resolved(self, plan: TaskPlan) -> TaskPlan:
        return resolved_plan(plan, self._lm, self._task, self._bench)

    def _learned(self, plan: TaskPlan) -> TaskPlan:
        """Learned from the half that does not choose."""

        def examples(most: int | None) -> Examples:
            every = self.search.ranking_examples
            return every if most is None else every.at_most(most)

        return resolve_task(plan, self._bench, examples)


def resolved_plan(plan: TaskPlan, lm: SNALM, task: Any, bench: Workbench) -> TaskPlan:
    """A plan with its neurons or parameters, found on all development items."""
    if plan.resolved:
        return plan
    contexts = Contexts.of(task, lm)
    return resolve_task(plan, bench, partial(examples_of, task, contexts=contexts))


def _towards_all(plan: TaskPlan) -> tuple[Affine, ...]:
    """A plan's interventions; of directions that follow an item's choices, all labels' neurons."""
    entries = tuple(
        replace(entry, direction=BOTH, allow_oracle=False)
        if follows_choices(entry.direction)
        else entry
        for entry in plan.interventions
    )
    return plain_interventions(replace(plan, interventions=entries))


def _random_unit(
    name: str, items: TestItems, null: Found, *, choices: bool, seconds: float
) -> MethodUnit:
    before, after = (
        np.array(one.correct, dtype=float) if choices else one.prob
        for one in (items.baseline, null.after)
    )
    gated = np.where(items.opened, after, before)
    return MethodUnit(
        label=f"{RANDOM}-{null.draw}", method=RANDOM, task=name,
        measure="acc" if choices else "prob", before=_floats(before), after=_floats(gated),
        everywhere=_floats(after), zones=items.zones, amplified=items.opened, strength=None,
        seconds=seconds, fingerprint="", sees_answer=items.sees_answer, specific=null.specific,
        kl=null.kl,
    )  # fmt: skip


def _floats(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(map(float, values))
