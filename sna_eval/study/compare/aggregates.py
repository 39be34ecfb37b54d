"""How a task makes one value of its items' scores, found out by doing it.

A paired test of the items is a test of the reported value only if the items lead to it. Each way
below is tried on both runs, and the one that reproduces what both result files say is taken; where
none does (an F1 or BLEU over the corpus, say), the items cannot be used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sna_eval.study.statistics import Reduce, mean_of
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
