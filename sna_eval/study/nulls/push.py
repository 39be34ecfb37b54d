"""Equal push: multipliers at which sets of neurons move the model equally far.

How far is the mean `KL(base || changed)` of the next token on development items. Near 1 it grows
with the square of `m - 1`, so the first step follows that; then the multiplier is bracketed and
found between its bounds by false position on logarithms, kept inside the bracket as bisection is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from sna_eval.intervention import Intervention
from sna_eval.measuring.moved import Moved
from sna_eval.measuring.values import Floats

TOLERANCE = 0.05
"""Relative difference of divergences that counts as none."""
ROUNDS = 8
"""Multipliers that are tried at most, the one that was there included."""
FARTHEST = 64.0
"""Largest `m - 1`."""
_STEP = 4.0  # how far a step may go that has no bound yet
_INSIDE = 0.1  # of a bracket, on logarithms, that false position keeps from its ends


@dataclass(frozen=True)
class Layered:
    """Neurons of several layers, amplified together by one multiplier."""

    parts: tuple[Intervention, ...]
    """One a layer; their own multipliers are of no account."""
    multiplier: float

    @property
    def neurons(self) -> tuple[int, ...]:
        return tuple(neuron for part in self.parts for neuron in part.neurons)

    @property
    def together(self) -> tuple[Intervention, ...]:
        """The interventions."""
        return tuple(replace(part, multiplier=self.multiplier) for part in self.parts)


Scaled = TypeVar("Scaled", Intervention, Layered)


@dataclass(frozen=True)
class Pushed(Generic[Scaled]):
    """A set at the multiplier that comes closest."""

    intervention: Scaled
    kl: float
    wanted: float

    @property
    def reached(self) -> bool:
        """Whether it pushes as far as is wanted."""
        return _close(self.kl, self.wanted)


def equal_push(
    sets: Sequence[Scaled],
    kls: Sequence[float],
    wanted: Sequence[float],
    measure: Callable[[Sequence[Scaled]], Floats],
    moved: Moved | None = None,
) -> list[Pushed[Scaled]]:
    """Every set at the multiplier that pushes as far as is wanted of it.

    **Arguments:**

    - `kls`: divergences at the multipliers the sets have now.
    - `wanted`: divergences they are to have.
    - `measure`: the mean divergence of each set, `[set]`, in nats; asked about many at once, those
        that are not settled yet.
    - `moved`: told of sets that are settled.
    """
    searches = [_Search(*of_set) for of_set in zip(sets, kls, wanted, strict=True)]
    open_ones = searches
    for _ in range(ROUNDS - 1):
        before, open_ones = len(open_ones), [search for search in open_ones if search.goes_on]
        if moved is not None:
            moved(before - len(open_ones))
        if not open_ones:
            break
        tried = [search.next() for search in open_ones]
        for search, one, kl in zip(open_ones, tried, measure(tried), strict=True):
            search.tell(one, float(kl))
    if moved is not None:
        moved(len(open_ones))
    return [search.best for search in searches]


class _Search(Generic[Scaled]):
    """One set's multiplier, bracketed step by step; `x` is `|m - 1|`."""

    def __init__(self, scaled: Scaled, kl: float, wanted: float) -> None:
        self.best: Pushed[Scaled] = Pushed(scaled, kl, wanted)
        self._sign = math.copysign(1.0, scaled.multiplier - 1.0)
        self._farthest = FARTHEST if self._sign > 0 else 1.0  # a neuron is not turned round
        self._low: tuple[float, float] | None = None
        self._high: tuple[float, float] | None = None
        self._stuck = wanted <= 0.0 or kl <= 0.0 or not scaled.neurons
        self._bound(scaled, kl)

    @property
    def goes_on(self) -> bool:
        return not (self._stuck or self.best.reached)

    def next(self) -> Scaled:
        x = self._guess()
        return replace(self.best.intervention, multiplier=1.0 + self._sign * x)

    def tell(self, tried: Scaled, kl: float) -> None:
        if not math.isfinite(kl):
            kl = math.inf
        if _distance(kl, self.best.wanted) < _distance(self.best.kl, self.best.wanted):
            self.best = replace(self.best, intervention=tried, kl=kl)
        at_end = abs(tried.multiplier - 1.0) >= self._farthest
        self._stuck = at_end and kl < self.best.wanted
        self._bound(tried, kl)

    def _bound(self, scaled: Scaled, kl: float) -> None:
        point = (abs(scaled.multiplier - 1.0), kl)
        if kl < self.best.wanted:
            self._low = point if self._low is None or point[0] > self._low[0] else self._low
        else:
            self._high = point if self._high is None or point[0] < self._high[0] else self._high

    def _guess(self) -> float:
        wanted = self.best.wanted
        if self._low is not None and self._high is not None:
            (low, low_kl), (high, high_kl) = self._low, self._high
            share = 0.5
            if low_kl > 0 and math.isfinite(high_kl):
                share = math.log(wanted / low_kl) / math.log(high_kl / low_kl)
            share = min(max(share, _INSIDE), 1.0 - _INSIDE)
            return float(low * (high / low) ** share)
        known = self._low or self._high
        assert known is not None
        x, kl = known
        factor = math.sqrt(wanted / kl) if 0 < kl < math.inf else 1 / _STEP
        return min(x * min(max(factor, 1 / _STEP), _STEP), self._farthest)


def _distance(kl: float, wanted: float) -> float:
    if kl <= 0 or wanted <= 0 or math.isinf(kl):
        return 0.0 if kl == wanted else math.inf
    return abs(math.log(kl / wanted))


def _close(kl: float, wanted: float) -> bool:
    return kl == wanted or _distance(kl, wanted) <= math.log1p(TOLERANCE)
