"""The same items of two runs, side by side.

A paired test of the items is a test of the reported value only if the items lead to it. How a task
makes one value of its items' scores is found out by doing it: each way that is known is tried on
both runs, and the one that reproduces what both result files say is taken; where none does (an F1
or BLEU over the corpus, say), the items cannot be used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sna_eval.gating import SIGNALS, AnswerSignal, ChoicesSignal, Gate, Zone
from sna_eval.study.results.records import Items, MetricName, Run, TaskRecord
from sna_eval.study.statistics import Reduce, cluster_codes, mean_of
from sna_eval.study.statistics.sampling import Floats

_TOLERANCE = 1e-6
"""Relative, and absolute below 1."""


@dataclass(frozen=True)
class Aggregate:
    """A value made of the means of `columns` numbers per item, as in `lm_eval.api.metrics`."""

    name: str
    columns: int
    reduce: Reduce


def _perplexity(means: Floats) -> Floats:
    return np.exp(-means[..., 0])


def _weighted_perplexity(means: Floats) -> Floats:
    return np.exp(-means[..., 0] / means[..., 1])


def _bits_per_byte(means: Floats) -> Floats:
    return -means[..., 0] / means[..., 1] / math.log(2)


AGGREGATES = (
    Aggregate("mean", 1, mean_of),
    Aggregate("perplexity", 1, _perplexity),
    Aggregate("weighted perplexity", 2, _weighted_perplexity),
    Aggregate("bits per byte", 2, _bits_per_byte),
)


def as_numbers(values: Sequence[Any]) -> Floats | None:
    """Items' scores as `[item, column]`, NaN for no score; `None` if they are no such numbers."""
    width = next((_width(value) for value in values if value is not None), 0)
    if width not in (1, 2):
        return None
    rows = []
    for value in values:
        if value is not None and _width(value) != width:
            return None
        rows.append([math.nan] * width if value is None else np.atleast_1d(value))
    return np.array(rows, dtype=np.float64).reshape(-1, width)


def find_aggregate(halves: Sequence[tuple[Floats, float]]) -> Aggregate | None:
    """The way that makes each run's reported value of its items.

    **Arguments:**

    - `halves`: per run all its items, `[item, column]`, and the reported value.
    """
    for aggregate in AGGREGATES:
        if all(_reproduces(aggregate, items, value) for items, value in halves):
            return aggregate
    return None


def _reproduces(aggregate: Aggregate, items: Floats, value: float) -> bool:
    scored = items[~np.isnan(items).any(axis=1)]
    if scored.shape[1] != aggregate.columns or len(scored) == 0:
        return False
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        found = float(aggregate.reduce(scored.mean(axis=0)))
    return math.isclose(found, value, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _width(value: Any) -> int:
    """How many numbers a score is made of; 0 for something else."""
    if isinstance(value, (int, float)):
        return 1
    if isinstance(value, (list, tuple)) and all(isinstance(part, (int, float)) for part in value):
        return len(value)
    return 0


NO_ZONE = 0
ROUNDING = 1e-5
"""Relative difference of two scores that another batch or pass makes of one and the same model."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Scores of the items that two runs share."""

    before: Floats
    """`[item, column]`."""
    after: Floats
    """`[item, column]`."""
    zones: NDArray[np.int64]
    """`[item]`: 1 to 3, or 0 where the confidence is unknown."""
    aggregate: Aggregate
    clusters: NDArray[np.int64] | None = None
    """What goes together, `[item]`; `None`: every item stands for itself."""

    @property
    def n_clusters(self) -> int:
        """How many there are; as many as items where each stands for itself."""
        return len(self.before if self.clusters is None else np.unique(self.clusters))

    @property
    def binary(self) -> bool:
        """Whether every score is right (1) or wrong (0)."""
        both = np.concatenate([self.before, self.after])
        return both.shape[1] == 1 and bool(np.isin(both, (0.0, 1.0)).all())

    @property
    def settled(self) -> Floats:
        """`after`, with the value of `before` where the two differ by rounding alone.

        Without this, a run against itself in other batches would count as better or worse, item by
        item, and rounding that leans one way would pass a test.
        """
        alike = np.isclose(self.before, self.after, rtol=ROUNDING, atol=0.0)
        return np.where(alike, self.before, self.after)

    def only(self, zone: int) -> Pairs:
        """The items of one zone."""
        kept = self.zones == zone
        clusters = None if self.clusters is None else self.clusters[kept]
        return Pairs(
            self.before[kept], self.after[kept], self.zones[kept], self.aggregate, clusters
        )


def both_items(a: TaskRecord, b: TaskRecord, filter_name: str) -> tuple[Items, Items] | None:
    """Items of one filter of both records, where both have them."""
    if a.items is None or b.items is None:
        return None
    first, second = a.items().get(filter_name), b.items().get(filter_name)
    return (first, second) if first is not None and second is not None else None


def shared(first: Items, second: Items) -> tuple[list[int], list[int]]:
    """Places of the items that both have, joined by the hash of the document.

    A document that occurs several times is joined in the order of its occurrences.
    """
    places = {key: place for place, key in enumerate(second.keys)}
    common = [(place, places[key]) for place, key in enumerate(first.keys) if key in places]
    return [one for one, _ in common], [other for _, other in common]


def pair(runs: tuple[Run, Run], task: str, metric: MetricName) -> Pairs | None:
    """Pairs of one task and metric; `None` where the items do not lead to the reported values."""
    records = (runs[0].tasks[task], runs[1].tasks[task])
    items = both_items(*records, metric.filter)
    if items is None:
        return None
    numbers = [as_numbers(side.values.get(metric.metric, ())) for side in items]
    first, second = numbers
    if first is None or second is None:
        return None
    aggregate = find_aggregate(
        [(first, records[0].scores[metric].value), (second, records[1].scores[metric].value)]
    )
    one, other = shared(*items)
    if aggregate is None or not one:
        return None
    before, after = first[one], second[other]
    zones = np.array([zone or NO_ZONE for zone in _zones(runs, records, items, one, other)])
    scored = ~(np.isnan(before) | np.isnan(after)).any(axis=1)
    if not scored.any():
        return None
    clusters = shared_clusters(records, items, one, other)
    return Pairs(
        before[scored],
        after[scored],
        zones[scored],
        aggregate,
        None if clusters is None else clusters[scored],
    )


def shared_clusters(
    records: tuple[TaskRecord, TaskRecord],
    items: tuple[Items, Items],
    one: Sequence[int],
    other: Sequence[int],
) -> NDArray[np.int64] | None:
    """Which of the joined items go together: by a field that a run names, else by their answers."""
    sides = [(records[1], items[1], other), (records[0], items[0], one)]
    sides.sort(key=lambda side: side[0].cluster is None)
    for _, read, places in sides:
        if read.clusters:
            return cluster_codes([read.clusters[place] for place in places])
    return None


def _zones(
    runs: tuple[Run, Run],
    records: tuple[TaskRecord, TaskRecord],
    items: tuple[Items, Items],
    one: Sequence[int],
    other: Sequence[int],
) -> list[int | None]:
    """Zones of the joined items: the amplified run's own, else by an unmodified run's confidence.

    0 where both runs are amplified and neither has written what the unmodified model said.
    """
    gate = records[1].gate or records[0].gate
    for run, side, places in ((runs[1], items[1], other), (runs[0], items[0], one)):
        if side.zones is not None and run.amplified:
            return [side.zones[place] for place in places]
    for run, side, places in ((runs[0], items[0], one), (runs[1], items[1], other)):
        if not run.amplified:
            zones = side.zones or derived_zones(side, gate)
            return [zones[place] for place in places]
    return [None] * len(one)


def derived_zones(items: Items, gate: Gate | None) -> list[Zone | None]:
    """Zones from the items' own log-likelihoods; `None` for items that have none.

    By the margin between the choices, or by the probability of the one continuation; with the
    gate's bounds where it used that signal, and else the paper's (Akhtar 2026, sections 4, 6).
    """
    compared = any(len(choices) > 1 for choices in items.choices)
    return [_from_choices(choices, gate, compared) for choices in items.choices]


def _from_choices(choices: tuple[float, ...], gate: Gate | None, compared: bool) -> Zone | None:
    if not choices or not all(map(math.isfinite, choices)):
        return None
    if compared and len(choices) == 1:
        return 3  # nothing to decide
    between, alone = SIGNALS.first(ChoicesSignal), SIGNALS.first(AnswerSignal)
    several = len(choices) > 1
    signal = between if several else alone
    if gate is None or gate.signal != signal.name:
        gate = Gate.by(signal)
    return gate.zone(between.measure(choices) if several else alone.measure(choices[0]))
