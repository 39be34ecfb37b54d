"""What changed from one run to the other, and whether it is more than luck."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sna_eval.study.compare.options import Options
from sna_eval.study.compare.pairing import Pairs
from sna_eval.study.results.records import Reported
from sna_eval.study.statistics import (
    Interval,
    design_effect,
    detectable_flips,
    detectable_mean,
    detectable_unpaired,
    equivalence,
    mcnemar,
    paired_bootstrap,
    paired_permutation,
    unpaired_z,
    upper_bound,
)

Test = Literal["McNemar", "permutation", "clusters", "unpaired z", "none"]
"""`McNemar` for right and wrong, `permutation` for other scores of paired items, `clusters` where
items that share their answer are exchanged together, `unpaired z` where only standard errors are
known, `none` where not even those are."""

_UNKNOWN = Interval(math.nan, math.nan)


@dataclass(frozen=True)
class MetricChange:
    """The difference of two runs on one metric."""

    before: float
    after: float
    interval: Interval
    """Of `after - before`."""
    p: float
    """Two-sided, uncorrected; NaN where nothing could be tested."""
    test: Test
    n: int | None = None
    """Pairs of items; without items the number of documents, where both runs have it alike."""
    better: int | None = None
    """Items that improved: for right and wrong, those that turned right."""
    worse: int | None = None
    """Items that got worse: for right and wrong, those that turned wrong."""
    detectable: float = math.nan
    """Smallest difference that so many items could show."""
    clusters: int | None = None
    """Of items that go together; as many as items where each stands for itself."""
    design_effect: float = math.nan
    """Variance of the difference over that of as many independent items; NaN where nothing differs,
    and where every item stands for itself."""
    p_equivalence: float = math.nan
    """That the difference is no smaller than the smallest effect of interest; NaN without one."""

    @property
    def difference(self) -> float:
        return self.after - self.before


@dataclass(frozen=True)
class ZoneEffect:
    """The effect among the items of one zone."""

    zone: int
    effect: MetricChange


@dataclass(frozen=True)
class Harm:
    """Confident items (zone 3) that were right and are wrong, the gate held open.

    Behind a gate that leaves zone 3 alone there are none by construction.
    """

    items: int
    """That the first run had right."""
    harmed: int
    """Of these, those that the second has wrong."""
    at_most: float
    """One-sided 95 % bound of their share."""


def paired_effect(pairs: Pairs, options: Options, *, higher_is_better: bool = True) -> MetricChange:
    """Tested on the items themselves."""
    reduce, draws, seed = pairs.aggregate.reduce, options.draws, options.seed
    clusters, count = pairs.clusters, pairs.n_clusters
    test: Test = "permutation" if count == len(pairs.before) else "clusters"
    if pairs.binary and test != "clusters":
        test = "McNemar"
        p = mcnemar(pairs.before[:, 0], pairs.after[:, 0]).p
    else:
        p = paired_permutation(
            pairs.before, pairs.settled, reduce=reduce, clusters=clusters, draws=draws, seed=seed
        )
    interval = paired_bootstrap(
        pairs.before,
        pairs.after,
        reduce=reduce,
        clusters=clusters,
        confidence=options.confidence,
        draws=draws,
        seed=seed,
    )
    better, worse = _moved(pairs, higher_is_better)
    effect = math.nan if test != "clusters" else _design_effect(pairs)
    return MetricChange(
        before=float(reduce(pairs.before.mean(axis=0))),
        after=float(reduce(pairs.after.mean(axis=0))),
        interval=interval,
        p=p,
        test=test,
        n=len(pairs.before),
        better=better,
        worse=worse,
        detectable=_detectable(pairs, options, better + worse) * math.sqrt(_widening(effect)),
        clusters=count,
        design_effect=effect,
        p_equivalence=_equivalence(pairs, options),
    )


def unpaired_effect(
    before: Reported, after: Reported, options: Options, *, documents: int | None = None
) -> MetricChange:
    """Tested on standard errors; where one is missing, the other run's stands in for it."""
    known = [score.stderr for score in (before, after) if score.stderr is not None]
    if not known:
        return MetricChange(before.value, after.value, _UNKNOWN, math.nan, "none", n=documents)
    first = known[0] if before.stderr is None else before.stderr
    second = known[-1] if after.stderr is None else after.stderr
    found = unpaired_z(
        before.value,
        after.value,
        before_stderr=first,
        after_stderr=second,
        confidence=options.confidence,
    )
    detectable = detectable_unpaired(first, second, alpha=options.alpha, power=options.power)
    return MetricChange(
        before=before.value,
        after=after.value,
        interval=found.interval,
        p=found.p,
        test="unpaired z",
        n=documents,
        detectable=detectable,
    )


def zone_effects(
    pairs: Pairs, options: Options, *, higher_is_better: bool = True
) -> tuple[ZoneEffect, ...]:
    """The effect in every zone that has items."""
    return tuple(
        ZoneEffect(zone, paired_effect(inside, options, higher_is_better=higher_is_better))
        for zone in (1, 2, 3)
        if len((inside := pairs.only(zone)).before)
    )


def harm(pairs: Pairs, *, higher_is_better: bool = True) -> Harm | None:
    """Harm among confident items that were right, in a run whose gate was held open.

    `None` where scores are not 0 or 1, zones unknown, or no such item.
    """
    confident = pairs.only(3)
    if not pairs.binary or not len(confident.before):
        return None
    changed = mcnemar(confident.before[:, 0], confident.after[:, 0])
    lost = changed.lost if higher_is_better else changed.gained
    right = int(np.sum(confident.before[:, 0] == (1.0 if higher_is_better else 0.0)))
    return Harm(right, lost, upper_bound(lost, right)) if right else None


def _moved(pairs: Pairs, higher_is_better: bool) -> tuple[int, int]:
    """Items that improved and that got worse, judged one by one."""
    reduce = pairs.aggregate.reduce
    change = reduce(pairs.settled) - reduce(pairs.before)
    if not higher_is_better:
        change = -change
    return int(np.sum(change > 0)), int(np.sum(change < 0))


def _design_effect(pairs: Pairs) -> float:
    if pairs.clusters is None or pairs.aggregate.name != "mean":
        return math.nan
    return design_effect((pairs.settled - pairs.before)[:, 0], pairs.clusters)


def _widening(effect: float) -> float:
    """What clusters make of the variance; that they make it smaller is not believed."""
    return max(1.0, effect) if math.isfinite(effect) else 1.0


def _equivalence(pairs: Pairs, options: Options) -> float:
    if options.smallest is None or pairs.aggregate.name != "mean":
        return math.nan
    change = (pairs.settled - pairs.before)[:, 0]
    return equivalence(
        change, smallest=options.smallest, alpha=options.alpha, clusters=pairs.clusters
    ).p


def _detectable(pairs: Pairs, options: Options, changed: int) -> float:
    alpha, power = options.alpha, options.power
    if pairs.binary:
        return detectable_flips(len(pairs.before), changed, alpha=alpha, power=power)
    if pairs.aggregate.name != "mean":
        return math.nan  # the formulas are for means
    differences = pairs.after - pairs.before
    deviation = float(np.std(differences, ddof=1)) if len(differences) > 1 else 0.0
    return detectable_mean(len(differences), deviation, alpha=alpha, power=power)
