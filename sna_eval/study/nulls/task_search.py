"""One task's search, for the claim and for random rankings alike.

1. First-order effects of every neuron on the choosing items' outcome, from one backward pass per
   batch: a ranking's whole grid is then a few cumulative sums.
2. The configurations that promise most are measured on the choosing items; the best is chosen.
3. Its multiplier is set so that it pushes the choosing items' next tokens as far as the claim's
   best candidate does at the multiplier that was chosen: no ranking gains by pushing harder.
4. Its gain is taken on the test items.

The claim and every random ranking go through this file's `search_all` and nothing else. Draws are
worked on in portions of fixed numbers (`searching`), so that a run that was stopped gives the same
bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from sna_eval.cache import digest
from sna_eval.clusters import cluster_codes
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.model.kept import numerics
from sna_eval.harness.tasks.contexts import Contexts
from sna_eval.harness.tasks.development import examples_of
from sna_eval.intervention import Intervention, Row, Unit
from sna_eval.measuring.answers import Answers, answer_texts, ask_answers
from sna_eval.measuring.grid import Grid
from sna_eval.measuring.items import TaskItems, answered_rows, load_items
from sna_eval.measuring.neuron_sets import SetPasses
from sna_eval.measuring.passes import GridPasses, tokens_per_pass
from sna_eval.measuring.starts import find_routes
from sna_eval.measuring.values import Floats
from sna_eval.neurons import Examples, Search, SearchConfig, spread_over
from sna_eval.neurons.first_order import first_order
from sna_eval.neurons.rankings import USUAL
from sna_eval.study.nulls.halves import halves, stratified_halves
from sna_eval.study.nulls.measured import ChoosingItems, Moved, TestedItems
from sna_eval.study.nulls.options import RANDOM, NullOptions
from sna_eval.study.nulls.push import Pushed, equal_push
from sna_eval.study.nulls.rankings import Ranking, Rankings
from sna_eval.study.nulls.records import CLAIM, Found, kept_digits
from sna_eval.study.nulls.shortlist import Candidate, shortlist
from sna_eval.study.same_settings import versions
from sna_eval.study.statistics import resampled_places
from sna_eval.study.sweep.options import SweepOptions
from sna_eval.study.sweep.swept_task import swept_task

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

_PLACEBO = 1_000_000_007  # the draws a placebo claim is taken from: apart from all others


@dataclass(frozen=True)
class _Choice:
    """What a ranking chose on the choosing items."""

    candidate: Candidate
    gain: float
    kl: float


class TaskSearch:
    """Everything a task's searches have in common; parts are made when first needed."""

    def __init__(self, lm: SNALM, name: str, task: Any, options: NullOptions) -> None:
        self.lm, self.name, self.task, self.options = lm, name, task, options
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

    # What is searched, and on what

    @property
    def grid(self) -> Grid:
        return self._swept.grid

    @property
    def gate(self) -> Gate:
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
        examples = examples_of(self.task, contexts=Contexts.of(self.task, self.lm))
        limit = self.options.development_limit
        if limit is not None:
            examples = examples.only(spread_over(range(len(examples.prompts)), limit))
        return examples.only([item.instance.doc_id for item in self._ranking_items.items])

    @cached_property
    def rankings(self) -> Rankings:
        search = self._search_on(self.ranking_examples, self._ranking_items, self.grid.layers)
        return Rankings(search, self.grid.largest_count, self.options.seed)

    def _search_on(self, examples: Examples, items: TaskItems, layers: Sequence[int]) -> Search:
        asked = self.options
        config = SearchConfig(
            self._swept.method, asked.pooling, asked.seed, asked.max_prompts, asked.sinks,
            asked.unit,
        )  # fmt: skip
        answered = partial(answered_rows, items, max_length=self.lm.max_length)
        return Search(self.lm.bench, examples, config, layers, answered=answered)

    def resampled(self, layer: int, count: int, *, draws: int) -> list[tuple[int, ...]]:
        """The neurons that the ranking puts first in a layer, on resampled items of the half that
        it is made on; all labels' together, a set a draw."""
        items, examples = self._ranking_items, self.ranking_examples
        found = []
        for places in resampled_places(cluster_codes(items.clusters), draws=draws):
            search = self._search_on(examples.only(places), _some(items, places), [layer])
            chosen = search.best(layer, count).selected.values()
            found.append(
                tuple(sorted({neuron for selected in chosen for neuron in selected.neurons}))
            )
        return found

    @cached_property
    def passes(self) -> SetPasses:
        return _passes(self.lm, self.options.unit, self.grid.layers, self.options.tokens_per_pass)

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
        found = first_order(
            engine.model,
            engine.sites,
            [Row(context, (continuation,)) for context, continuation in requests],
            layers=self.grid.layers,
            abilities=engine.abilities,
            context=engine.context,
        )
        return {
            layer: by_request[wanted] @ effects.double().numpy()
            for layer, effects in found.effects.items()
        }

    # The search, the same for every ranking

    @cached_property
    def profile(self) -> Ranking:
        """The ranking whose push random ones have."""
        return self.rankings.real()

    @cached_property
    def claimed(self) -> Ranking:
        """The claim's ranking; of a placebo one more random one."""
        if self.options.select != RANDOM:
            return self.profile
        return self.rankings.random(self.profile, _PLACEBO + self.options.claim_seed)

    @cached_property
    def levels(self) -> Floats:
        """How far each measured multiplier is to push: as far as the claim's most promising
        configuration does at it, `[level]`."""
        best = [one for one in self._shortlist(self.claimed) if one.place == 0]
        return self.choosing.kls([one.intervention for one in best])

    def claim(self, moved: Moved | None = None) -> Found:
        """The claim's search."""
        (found,) = self.search_all({CLAIM: self.claimed}, moved)
        return found

    def nulls(self, draws: Sequence[int], moved: Moved | None = None) -> list[Found]:
        """The searches of some random rankings."""
        drawn = {draw: self.rankings.random(self.profile, draw) for draw in draws}
        return self.search_all(drawn, moved)

    def search_all(
        self, rankings: Mapping[int, Ranking], moved: Moved | None = None
    ) -> list[Found]:
        """The searches of some rankings, by their numbers.

        **Arguments:**

        - `moved`: told of searches as they are done, in parts.
        """
        costs = self._costs()
        choices = self._choose(list(rankings.values()), _part(moved, costs[0]))
        pushed = self._pushed(choices, _part(moved, costs[1]))
        final = [push.intervention for push in pushed]
        tested = self.test.measure(final, _part(moved, costs[2]))
        gains = [float((test.specific * self.test.opened).mean()) for test in tested]
        return [
            Found(
                draw=draw,
                layer=choice.candidate.layer,
                n_neurons=choice.candidate.n_neurons,
                multiplier=push.intervention.multiplier,
                searched_multiplier=choice.candidate.multiplier,
                neurons=choice.candidate.neurons,
                predicted=_rounded(choice.candidate.predicted),
                development_gain=_rounded(choice.gain),
                kl=_rounded(push.kl),
                kl_wanted=_rounded(push.wanted),
                push_reached=push.reached,
                gain=_rounded(gain),
                specific=kept_digits(test.specific),
                shift=kept_digits(test.shift),
                after=test.after,
            )
            for draw, choice, push, test, gain in zip(
                rankings, choices, pushed, tested, gains, strict=True
            )
        ]

    def _shortlist(self, ranking: Ranking) -> list[Candidate]:
        return shortlist(
            self.grid, ranking, self.slopes, size=self.options.measured, unit=self.options.unit
        )

    def _choose(self, rankings: Sequence[Ranking], moved: Moved | None) -> list[_Choice]:
        """The best measured configuration of each ranking."""
        lists = [self._shortlist(ranking) for ranking in rankings]
        every = [candidate for one in lists for candidate in one]
        share = None if moved is None else _scaled(moved, len(lists) / len(every))
        found = self.choosing.pushes([one.intervention for one in every], share)
        choices, start = [], 0
        for one in lists:
            gains = found.gains[start : start + len(one)]
            best = int(gains.argmax())
            choices.append(_Choice(one[best], float(gains[best]), float(found.kls[start + best])))
            start += len(one)
        return choices

    def _pushed(
        self, choices: Sequence[_Choice], moved: Moved | None
    ) -> list[Pushed[Intervention]]:
        """Every choice at the multiplier that pushes as far as the claim's."""
        sets = [choice.candidate.intervention for choice in choices]
        kls = [choice.kl for choice in choices]
        if not self.options.equal_push:
            found = [Pushed(*one) for one in zip(sets, kls, kls, strict=True)]
        else:
            wanted = [float(self.levels[choice.candidate.level]) for choice in choices]
            found = equal_push(sets, kls, wanted, self.choosing.kls)
        if moved is not None:
            moved(len(choices))
        return found

    def _costs(self) -> Floats:
        """Shares of a search's tokens: choosing, making pushes equal, testing."""
        choosing, test = self.choosing.tokens, self.test.tokens
        costs = np.array([self.options.measured * choosing, 2.0 * choosing, test])
        return costs / costs.sum()

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


def _passes(lm: SNALM, unit: Unit, layers: tuple[int, ...], tokens: int | None) -> SetPasses:
    """A model's passes; its ways in are found once for all tasks."""
    known = _FOUND.setdefault(lm, {})
    if (unit, layers, tokens) not in known:
        engine = replace(lm.engine, sites=lm.sites.of(unit))
        passes = GridPasses(engine, tokens or tokens_per_pass(engine.device))
        known[unit, layers, tokens] = SetPasses(passes, find_routes(passes.engine, layers))
    return known[unit, layers, tokens]


def _some(items: TaskItems, places: Sequence[int]) -> TaskItems:
    return replace(
        items,
        items=tuple(items.items[place] for place in places),
        gold=tuple(items.gold[place] for place in places),
        clusters=tuple(items.clusters[place] for place in places),
    )


def _part(moved: Moved | None, share: float) -> Moved | None:
    return None if moved is None else _scaled(moved, share)


def _scaled(moved: Moved, factor: float) -> Moved:
    return lambda done: moved(done * factor)


def _rounded(value: float) -> float:
    return kept_digits(np.array([value]))[0]
