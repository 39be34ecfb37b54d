"""What a task's searches have in common: its items in their parts, what ranks them, what runs them.

One half of the development items ranks neurons, the other chooses among configurations, and gains
are taken on the test items. Every search of a task, the claim's and those of random rankings, works
on the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from tqdm import tqdm

from sna_eval.cache import digest
from sna_eval.clusters import cluster_codes
from sna_eval.errors import InputError
from sna_eval.gating import Gate, NextTokenSignal
from sna_eval.harness.model.kept import numerics
from sna_eval.harness.tasks.contexts import Contexts
from sna_eval.harness.tasks.development import examples_of
from sna_eval.intervention import Row, Unit
from sna_eval.measuring.answers import Answers, answer_texts, ask_answers
from sna_eval.measuring.grid import Grid
from sna_eval.measuring.items import TaskItems, answered_rows, load_items
from sna_eval.measuring.neuron_sets import SetPasses
from sna_eval.measuring.passes import GridPasses, tokens_per_pass
from sna_eval.measuring.starts import routes_of
from sna_eval.measuring.values import Floats
from sna_eval.neurons import Examples, Search, SearchConfig, spread_over
from sna_eval.neurons.first_order import first_order
from sna_eval.neurons.rankings import USUAL
from sna_eval.study.nulls.halves import halves, stratified_halves
from sna_eval.study.nulls.measured import ChoosingItems, TestedItems
from sna_eval.study.nulls.options import RANDOM, NullOptions
from sna_eval.study.nulls.rankings import Ranking, Rankings
from sna_eval.study.same_settings import versions
from sna_eval.study.statistics import resampled_places
from sna_eval.study.sweep.options import SweepOptions
from sna_eval.study.sweep.swept_task import swept_task

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


class SearchedTask:
    """One task, made ready for searches; parts are made when first needed."""

    def __init__(self, lm: SNALM, name: str, task: Any, options: NullOptions) -> None:
        self.lm, self.name, self.task, self.options = lm, name, task, options
        self.quiet = True
        """Whether to show no progress of what is made ready."""
        profile = USUAL if options.select == RANDOM else options.select
        asked = SweepOptions(
            tasks=(name,), unit=options.unit, layers=options.layers, n_neurons=options.n_neurons,
            multipliers=options.multipliers, select=profile, pooling=options.pooling,
            max_prompts=options.max_prompts, sinks=options.sinks,
            gate=options.gate or Gate(mode="always"), split="development",
            limit=options.development_limit, spread=True, halves=False,
        )  # fmt: skip
        self._swept = swept_task(name, task, lm, asked)
        items = self._swept.items
        self._halves = (
            stratified_halves(answer_texts(items), seed=options.seed)
            if self._swept.examples.label_names
            else halves(items.clusters, seed=options.seed)
        )
        for half in self._halves:
            if not half:
                raise InputError(
                    name, expected="at least two development items with right answers",
                    got=len(self._swept.items.items),
                    hint="one half ranks neurons, the other chooses",
                )  # fmt: skip

    @property
    def grid(self) -> Grid:
        return self._swept.grid

    @property
    def gate(self) -> Gate:
        """Says whose gains count, and which zone an item is in also where it is held open: by the
        signal that was asked for, which need not look at right answers."""
        asked = self.options.gate
        if asked is not None and isinstance(asked.measured_by, NextTokenSignal):
            return asked
        return self._swept.gate

    @property
    def development_items(self) -> TaskItems:
        """Both halves."""
        return self._swept.items

    @property
    def _ranking_items(self) -> TaskItems:
        return _some(self._swept.items, self._halves[0])

    @cached_property
    def ranking_examples(self) -> Examples:
        """The half of the development items that rankings are made on, and methods learn from."""
        return self._examples_of(self._ranking_items)

    def _examples_of(self, items: TaskItems) -> Examples:
        examples = examples_of(self.task, contexts=Contexts.of(self.task, self.lm))
        limit = self.options.development_limit
        if limit is not None:
            examples = examples.only(spread_over(range(len(examples.prompts)), limit))
        return examples.only([item.instance.doc_id for item in items.items])

    @cached_property
    def rankings(self) -> Rankings:
        search = self._search_on(self.ranking_examples, self._ranking_items, self.grid.layers)
        return Rankings(search, self.grid.largest_count, self.options.seed)

    def ranked_on_all(self) -> Ranking:
        """The task's ranking on both halves of the development items; no search looks at it."""
        items = self._swept.items
        search = self._search_on(self._examples_of(items), items, self.grid.layers)
        return Rankings(search, self.grid.largest_count, self.options.seed).real()

    def _search_on(self, examples: Examples, items: TaskItems, layers: Sequence[int]) -> Search:
        asked = self.options
        config = SearchConfig(
            self._swept.method, asked.pooling, asked.seed, asked.max_prompts, asked.sinks,
            asked.unit,
        )  # fmt: skip
        answered = partial(answered_rows, items, max_length=self.lm.max_length)
        return Search(self.lm.bench, examples, config, layers, answered=answered)

    def resampled(self, layer: int, count: int, *, draws: int) -> Iterator[tuple[int, ...]]:
        """The neurons that the ranking puts first in a layer, on resampled items of the half that
        it is made on; all labels' together, a set a draw."""
        items, examples = self._ranking_items, self.ranking_examples
        for places in resampled_places(cluster_codes(items.clusters), draws=draws):
            search = self._search_on(examples.only(places), _some(items, places), [layer])
            chosen = search.best(layer, count).selected.values()
            yield tuple(sorted({neuron for selected in chosen for neuron in selected.neurons}))

    @cached_property
    def passes(self) -> SetPasses:
        return passes_of(self.lm, self.options.unit, self.grid.layers, self.options.tokens_per_pass)

    @cached_property
    def choosing(self) -> ChoosingItems:
        _, half = self._halves
        return ChoosingItems(self._ask(_some(self._swept.items, half)), self.passes, self.gate)

    @cached_property
    def ranking_half(self) -> ChoosingItems:
        """The items that rank, measured like those that choose: no search looks at them so."""
        return ChoosingItems(self._ask(self._ranking_items), self.passes, self.gate)

    @cached_property
    def test_items(self) -> TaskItems:
        asked = self.options
        return load_items(
            self.task, self.lm, split=asked.split, limit=asked.limit, spread=asked.spread
        )

    @cached_property
    def test(self) -> TestedItems:
        return TestedItems(self._ask(self.test_items), self.passes, self.gate)

    def _ask(self, items: TaskItems) -> Answers:
        return ask_answers(
            items, max_length=self.lm.max_length, packs=self.lm.engine.abilities.packs,
            others=self.options.others, seed=self.options.seed,
        )  # fmt: skip

    @cached_property
    def slopes(self) -> Mapping[int, Floats]:
        """What doubling each neuron adds to the choosing items' gain, to first order,
        `{layer: [d_mlp]}`."""
        by_request = self.choosing.slopes()
        wanted = np.flatnonzero(by_request)
        requests = [self.choosing.answers.requests[number] for number in wanted]
        engine = self.passes.passes.engine
        rows = [Row(context, (continuation,)) for context, continuation in requests]
        with tqdm(
            total=len(rows), desc="Gradients", unit="row", leave=False, disable=self.quiet
        ) as bar:
            found = first_order(
                engine.model, engine.sites, rows, layers=self.grid.layers,
                abilities=engine.abilities, context=engine.context, progress=bar.update,
            )  # fmt: skip
        return {
            layer: by_request[wanted] @ effects.double().numpy()
            for layer, effects in found.effects.items()
        }

    def settings(self) -> dict[str, Any]:
        """What must be the same for draws to stand beside one another; more draws may be asked."""
        asked = asdict(self.options)
        del asked["draws"]
        return {
            **asked,
            "gate": asdict(self.gate),
            "task": self.name,
            "model_hash": self.lm.model_hash,
            **numerics(self.lm),
            "search": self._swept.described(),
            "test_hash": digest(self.test_items.described()),
            "tokens_per_pass": self.passes.passes.tokens,
            "versions": versions(),
        }


_FOUND: WeakKeyDictionary[Any, dict[Any, SetPasses]] = WeakKeyDictionary()


def passes_of(
    lm: SNALM, unit: Unit, layers: tuple[int, ...], tokens: int | None = None
) -> SetPasses:
    """A model's passes; its ways in are found once for all tasks."""
    known = _FOUND.setdefault(lm, {})
    if (unit, layers, tokens) not in known:
        engine = replace(lm.engine, sites=lm.sites.of(unit))
        passes = GridPasses(engine, tokens or tokens_per_pass(engine.device))
        known[unit, layers, tokens] = SetPasses(passes, routes_of(lm, passes.engine, layers))
    return known[unit, layers, tokens]


def _some(items: TaskItems, places: Sequence[int]) -> TaskItems:
    return replace(
        items,
        items=tuple(items.items[place] for place in places),
        gold=tuple(items.gold[place] for place in places),
        clusters=tuple(items.clusters[place] for place in places),
    )
