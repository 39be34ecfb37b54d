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
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from sna_eval.intervention import Intervention
from sna_eval.measuring.moved import Moved, scaled, ticking
from sna_eval.measuring.values import Floats
from sna_eval.study.nulls.options import RANDOM
from sna_eval.study.nulls.push import Pushed, equal_push
from sna_eval.study.nulls.rankings import Ranking
from sna_eval.study.nulls.records import CLAIM, Found, kept_digits
from sna_eval.study.nulls.searched_task import SearchedTask
from sna_eval.study.nulls.shortlist import Candidate, shortlist

_PLACEBO = 1_000_000_007  # the draws a placebo claim is taken from: apart from all others


@dataclass(frozen=True)
class _Choice:
    """What a ranking chose on the choosing items."""

    candidate: Candidate
    gain: float
    kl: float


class TaskSearch(SearchedTask):
    """A task's searches, one after another or many at once."""

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
        choices = self._choose(list(rankings.values()), scaled(moved, costs[0]))
        pushed = self._pushed(choices, scaled(moved, costs[1]))
        final = [push.intervention for push in pushed]
        tested = self.test.measure(final, scaled(moved, costs[2]))
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
        sets = [one.intervention for one in every]
        found = self.choosing.pushes(sets, scaled(moved, len(lists) / len(every)))
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
            return [Pushed(*one) for one in zip(sets, kls, kls, strict=True)]
        wanted = [float(self.levels[choice.candidate.level]) for choice in choices]
        measure = partial(self.choosing.kls, moved=ticking(moved))
        return equal_push(sets, kls, wanted, measure, moved)

    def _costs(self) -> Floats:
        """Shares of a search's tokens: choosing, making pushes equal, testing."""
        choosing, test = self.choosing.tokens, self.test.tokens
        costs = np.array([self.options.measured * choosing, 2.0 * choosing, test])
        return costs / costs.sum()


def _rounded(value: float) -> float:
    return kept_digits(np.array([value]))[0]
