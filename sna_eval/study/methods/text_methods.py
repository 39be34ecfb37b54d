"""One task's methods where a model generates: searched alike by what its texts score.

A rule that judges texts has no gradient, and a text takes as many passes as it has tokens. So what
is tried is not predicted but drawn, once for the task: every ranking, real or random, tries the
same layers, counts and multipliers. Half of the development documents ranks neurons, the other
chooses by the task's own score; what was chosen is scaled until it moves the next token of these
documents as far as the plan does. Right answers are not needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from sna_eval.cache import digest
from sna_eval.harness.tasks.contexts import Contexts
from sna_eval.harness.tasks.development import Half, development_docs, examples_of
from sna_eval.intervention import Affine, Intervention
from sna_eval.measuring.grid import Configuration, Grid
from sna_eval.methods import Examples
from sna_eval.neurons import MAX_PROMPTS, Search, SearchConfig, spread_over
from sna_eval.neurons.rankings import USUAL
from sna_eval.plan import (
    PlannedIntervention,
    TaskPlan,
    plain_interventions,
    resolve_task,
    task_fingerprint,
)
from sna_eval.study.bars import Say, say_nothing
from sna_eval.study.methods.options import MethodsOptions
from sna_eval.study.methods.strength import (
    Candidate,
    across_shares,
    amplified,
    at_strengths,
    largest_gain,
    layers_tried,
)
from sna_eval.study.methods.task_methods import resolved_plan
from sna_eval.study.methods.text_scores import ScoredDocuments, Written, documents_hash
from sna_eval.study.methods.units import KeptUnits, MethodUnit
from sna_eval.study.methods.variants import (
    OTHER_LAYER,
    RANDOM,
    Variant,
    other_layers,
    ranking_of_row,
)
from sna_eval.study.nulls.next_tokens import NextTokens
from sna_eval.study.nulls.plan_search import across_layers, drawn_beside, ranking_of, unit_of
from sna_eval.study.nulls.push import Layered, equal_push
from sna_eval.study.nulls.rankings import Ranking, Rankings
from sna_eval.study.nulls.searched_task import passes_of
from sna_eval.study.sweep.options import SweepOptions
from sna_eval.study.sweep.swept_task import grid_of

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

Keep = Callable[[str, str, Callable[[], Written]], Written]
"""Reads the unmodified model's texts of some documents, by a name and the documents' hash, or has
them written and keeps them."""


class TextMethods:
    """Measures one task's methods with one model; parts are made when first needed.

    **Arguments:**

    - `base`: the task's own plan.
    - `quiet`: whether to show no progress of single evaluations.
    - `say`: told of every configuration that is tried.
    - `keep`: keeps what the unmodified model writes.
    """

    def __init__(
        self,
        lm: SNALM,
        name: str,
        task: Any,
        base: TaskPlan,
        options: MethodsOptions,
        *,
        quiet: bool = True,
        say: Say = say_nothing,
        keep: Keep = lambda name, documents, write: write(),
    ) -> None:
        self._lm, self._name, self._task, self._options = lm, name, task, options
        self._given, self._quiet, self._say, self._keep = base, quiet, say, keep
        self._bench = replace(lm.bench, batch_size=options.batch_size)

    # The task: its plan, its documents, and what is tried on them

    @cached_property
    def base(self) -> TaskPlan:
        """The task's own plan, with its neurons."""
        return resolved_plan(self._given, self._lm, self._task, self._bench)

    @cached_property
    def development(self) -> ScoredDocuments:
        """The documents that configurations are chosen on."""
        docs = development_docs(
            self._task, self._options.limit, half="choosing", cluster=self._given.cluster
        )
        return self._documents(docs, "development")

    @cached_property
    def test(self) -> ScoredDocuments:
        """The documents that gains are taken on, evenly from the whole split."""
        docs = list(self._task.eval_docs)
        limit = self._options.limit
        return self._documents(docs if limit is None else spread_over(docs, limit), "test")

    def _documents(self, docs: Sequence[Any], split: str) -> ScoredDocuments:
        apart = split == "development"
        hashed = documents_hash(self._lm, self._task, docs, development=apart)
        return ScoredDocuments(
            self._lm, self._name, self._task, docs, self._given.gate,
            development=apart, seed=self._options.seed, items_hash=hashed,
            known=partial(self._keep, f"{self._name}.{split}", hashed), quiet=self._quiet,
        )  # fmt: skip

    @property
    def items_hash(self) -> str:
        """Of the documents that are measured, and of those that are searched on."""
        ranked = self._examples("ranking")
        return digest([self.test.items_hash, self.development.items_hash, ranked.fingerprint])

    @cached_property
    def grid(self) -> Grid:
        """The usual one of what the plan amplifies."""
        unit = unit_of(self.base)
        return grid_of(SweepOptions(tasks=(self._name,), unit=unit), USUAL, self._lm.sites.of(unit))

    @cached_property
    def drawn(self) -> list[Configuration]:
        """The whole grid in the order that it is tried in, drawn once for the task."""
        cells = [cell for layer in self.grid.layers for cell in self.grid.at(layer)]
        seed = int(digest([self._options.seed, self._name]), 16)
        return [cells[place] for place in np.random.default_rng(seed).permutation(len(cells))]

    @cached_property
    def rankings(self) -> Rankings:
        config = SearchConfig(ranking_of(self.base) or USUAL, unit=unit_of(self.base))
        search = Search(self._bench, self._examples("ranking"), config, self.grid.layers)
        return Rankings(search, self.grid.largest_count, self._options.seed)

    @cached_property
    def profile(self) -> Ranking:
        """The ranking whose push random ones have."""
        return self.rankings.real()

    @cached_property
    def next_tokens(self) -> NextTokens:
        """Behind the prompts of the development documents."""
        prompts, _ = self._bench.task_rows(self._examples("choosing", self._options.limit))
        return NextTokens.behind(
            [tuple(map(int, prompt)) for prompt in prompts],
            passes_of(self._lm, unit_of(self.base), self.grid.layers),
        )

    @cached_property
    def _push(self) -> float:
        """The plan's, in nats."""
        return self._kl(plain_interventions(self.base))

    def _examples(self, half: Half, most: int | None = MAX_PROMPTS) -> Examples:
        return examples_of(
            self._task, most, half=half, cluster=self._given.cluster,
            contexts=Contexts.of(self._task, self._lm),
        )  # fmt: skip

    # Methods

    def has(self, variant: Variant) -> bool:
        """Whether a method has anything to amplify, and needs no right answers for it."""
        if variant.needs_answers:
            return False
        return variant.label != OTHER_LAYER or bool(self._other_layers)

    def steps(self, variant: Variant) -> int:
        """Runs over documents that a variant takes."""
        if not self.has(variant):
            return 0
        if variant.label in ("sna", "ungated"):
            return 1
        rankings = self._options.random_draws if variant.label == RANDOM else 1
        return rankings * (self._options.tried + 1)

    def units(self, variant: Variant, kept: KeptUnits) -> list[MethodUnit]:
        """A variant's units, measured where they are not kept."""
        if variant.label == RANDOM:
            draws = range(self._options.random_draws)
            return [kept.get(f"{RANDOM}-{draw}", partial(self.random_unit, draw)) for draw in draws]
        if not self.has(variant):
            return []
        return [kept.get(variant.label, partial(self.unit, variant))]

    def unit(self, variant: Variant) -> MethodUnit:
        """One method: its search, and what its choice does to the test documents."""
        return self._measured(variant.label, variant.method, partial(self._chosen, variant))

    def random_unit(self, draw: int) -> MethodUnit:
        """One random ranking, searched as the others are."""
        return self._measured(f"{RANDOM}-{draw}", RANDOM, partial(self._random, draw))

    def plan_of(self, variant: Variant) -> TaskPlan:
        """A method's plan, searched or learned."""
        return self._chosen(variant, variant.label)[0]

    def _measured(
        self, label: str, method: str, choose: Callable[[str], tuple[TaskPlan, float | None, int]]
    ) -> MethodUnit:
        self._say(f"{label}, unmodified", 0)
        before, _ = self.test.unmodified, self.development.unmodified
        started = time.monotonic()
        plan, strength, tried = choose(label)
        self._say(f"{label}, test documents", 0)
        everywhere = self.test.scores(plan)
        self._say(label, 1)
        seconds = time.monotonic() - started
        opened = np.array(before.amplified) | (plan.gate.mode == "always")
        after = np.where(opened, everywhere, before.scores)
        return MethodUnit(
            label=label, method=method, task=self._name, measure=self.test.measure,
            before=before.scores, after=tuple(after.tolist()),
            everywhere=tuple(everywhere.tolist()), zones=before.zones,
            amplified=tuple(opened.tolist()), strength=strength, seconds=round(seconds, 3),
            fingerprint=task_fingerprint(plan), sees_answer=plan.sees_answer, oracle=plan.oracle,
            tried=tried, kl=self._kl(plain_interventions(plan)),
        )  # fmt: skip

    def _chosen(self, variant: Variant, label: str) -> tuple[TaskPlan, float | None, int]:
        """A method's plan, its strength, and how many configurations were tried."""
        if variant.by_ranking:
            others = self._other_layers
            ranking = ranking_of_row(variant.label, self.rankings, self.profile, others)
            return self._searched(label, ranking)
        if variant.across_layers:
            candidates = across_shares(
                variant, self.base, self.grid, resolve=self._learned, tried=self._options.tried
            )
            return self._as_far(self._best(label, candidates)), None, len(candidates)
        if not variant.has_strength:
            return variant.plan(self.base), None, 1
        layers = layers_tried(self.base, self._lm.sites.layers, self._options.tried)
        candidates = at_strengths(
            [variant.plan(self.base, layer) for layer in layers], self._options.strengths,
            resolve=self._learned, tried=self._options.tried,
        )  # fmt: skip
        best = self._best(label, candidates)
        return best, best.interventions[0].strength, len(candidates)

    def _random(self, draw: int, label: str) -> tuple[TaskPlan, float | None, int]:
        if not across_layers(self.base):
            return self._searched(label, self.rankings.random(self.profile, draw))
        together, seed = plain_interventions(self.base), self._options.seed
        sets = [
            drawn_beside(together, self.rankings.search, seed=[seed, draw, number])
            for number in range(self._options.tried)
        ]
        candidates = [(0.0, self._planned(one.together)) for one in sets]
        return self._as_far(self._best(label, candidates)), None, len(candidates)

    @property
    def _other_layers(self) -> list[int]:
        return other_layers(self.base, self.grid.layers)

    def _searched(self, label: str, ranking: Ranking) -> tuple[TaskPlan, None, int]:
        """A ranking's best configuration among those drawn, pushing as far as the plan."""
        cells = [cell for cell in self.drawn if cell.layer in ranking][: self._options.tried]
        candidates = [
            (cell.multiplier - 1, self._planned([self._amplifying(ranking, cell)]))
            for cell in cells
        ]
        return self._as_far(self._best(label, candidates)), None, len(candidates)

    def _best(self, label: str, candidates: Sequence[Candidate]) -> TaskPlan:
        """The candidate that gains most on the development documents, the gentlest of equals."""
        gains = []
        for number, (_, plan) in enumerate(candidates, start=1):
            self._say(f"{label}, configuration {number} of {len(candidates)}", 0)
            gains.append(self.development.gain(plan))
            self._say(label, 1)
        return candidates[largest_gain(gains, [strength for strength, _ in candidates])][1]

    def _as_far(self, plan: TaskPlan) -> TaskPlan:
        """A plan's neurons at the multiplier that pushes as far as the task's own plan."""
        parts = [one for one in plain_interventions(plan) if isinstance(one, Intervention)]
        if len(parts) == 1:
            kls = self.next_tokens.kls(parts)
            (one,) = equal_push(parts, list(kls), [self._push], self.next_tokens.kls)
            return amplified(plan, one.intervention.multiplier)
        layered = Layered(tuple(parts), parts[0].multiplier)
        (found,) = equal_push([layered], [self._kl(parts)], [self._push], self._kls_across)
        return amplified(plan, found.intervention.multiplier)

    def _kls_across(self, sets: Sequence[Layered]) -> np.ndarray:
        return self.next_tokens.kls_of([one.together for one in sets])

    def _kl(self, together: Sequence[Affine]) -> float:
        return float(self.next_tokens.kls_of([tuple(together)])[0])

    def _amplifying(self, ranking: Ranking, cell: Configuration) -> Intervention:
        """The first of a layer's neurons, all labels' at once."""
        first = (one.first(cell.n_neurons).neurons for one in ranking[cell.layer].values())
        every = tuple(dict.fromkeys(neuron for neurons in first for neuron in neurons))
        return Intervention(cell.layer, every, cell.multiplier, unit=unit_of(self.base))

    def _planned(self, together: Sequence[Intervention]) -> TaskPlan:
        entries = tuple(
            PlannedIntervention(one.layer, one.multiplier, neurons={"": one.neurons}, unit=one.unit)
            for one in together
        )
        return replace(self.base, interventions=entries)

    def _learned(self, plan: TaskPlan) -> TaskPlan:
        """Learned from the half that does not choose."""

        def examples(most: int | None) -> Examples:
            return self._examples("ranking", MAX_PROMPTS if most is None else most)

        return resolve_task(plan, self._bench, examples)
