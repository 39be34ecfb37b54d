"""From log-likelihoods of requests to what is known of an item: probability, correctness, gate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sna_eval.gating import Decision, Gate
from sna_eval.harness.scoring.decisions import (
    Baseline,
    ScoredRow,
    baseline_of,
    decide,
    needs_next_token,
)
from sna_eval.intervention import RowScore
from sna_eval.measuring.items import ItemRow, TaskItems

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ItemValues:
    """Values of every item, once or once per configuration."""

    prob: Floats
    """Probability of the right answer, `[..., item]`."""
    correct: NDArray[np.bool_] | None
    """Whether the right answer is the likeliest choice, `[..., item]`; `None` without choices."""


def item_values(items: TaskItems, log_likelihoods: Floats) -> ItemValues:
    """Probability and correctness.

    **Arguments:**

    - `log_likelihoods`: of all requests, `[..., request]`.
    """
    log_likelihoods = log_likelihoods[..., items.first_equal]
    gold = [start + right for start, right in zip(items.starts, items.gold, strict=False)]
    prob = np.exp(log_likelihoods[..., gold])
    if not items.has_choices:
        return ItemValues(prob, None)
    correct = [
        _likeliest(log_likelihoods, start, item.choices) == right
        for item, start, right in zip(items.items, items.starts, items.gold, strict=False)
    ]
    return ItemValues(prob, np.stack(correct, axis=-1))


def keep_baseline_where_not_finite(items: TaskItems, amplified: Floats, baseline: Floats) -> Floats:
    """Items that an intervention drove to infinity keep their baseline, as in an evaluation.

    **Arguments:**

    - `amplified`: `[configuration, request]`. `baseline`: `[request]`.
    """
    kept = amplified.copy()
    for start, stop in zip(items.starts, items.starts[1:], strict=False):
        lost = ~np.isfinite(amplified[:, start:stop]).all(axis=1)
        kept[lost, start:stop] = baseline[start:stop]
    return kept


def _likeliest(log_likelihoods: Floats, start: int, choices: tuple[int, ...]) -> NDArray[np.int64]:
    """Number, within the item, of the likeliest choice; the first of several, `[...]`."""
    offered = log_likelihoods[..., [start + choice for choice in choices]]
    return np.asarray(choices)[offered.argmax(axis=-1)]


@dataclass(frozen=True, eq=False)
class ItemsBaseline:
    """The unmodified model on all items of a task."""

    log_likelihoods: Floats
    """`[request]`."""
    decisions: tuple[Decision, ...]
    """What the gate says about each item."""


def items_baseline(
    items: TaskItems, gate: Gate, scored: Iterable[tuple[ItemRow, RowScore]]
) -> ItemsBaseline:
    """The baseline of every item from the scores of all rows, in any order."""
    rows: dict[int, list[ScoredRow]] = defaultdict(list)
    for entry, score in scored:
        numbers = [request - items.starts[entry.item] for request in entry.requests]
        rows[entry.item].append((entry.row, numbers, score))
    found = [baseline_of(item, rows[number]) for number, item in enumerate(items.items)]
    values = [score.log_likelihood for baseline in found for score in baseline.scores]
    decisions = tuple(
        decide(gate, item, baseline, items.right_answer)
        for item, baseline in zip(items.items, found, strict=True)
    )
    return ItemsBaseline(np.array(values, dtype=np.float64), decisions)


def opened(items: TaskItems, gate: Gate, log_likelihoods: Floats) -> NDArray[np.bool_]:
    """Whose gate opens, `[item]`; every item's where the gate reads more than is at hand.

    **Arguments:**

    - `log_likelihoods`: the unmodified model's, `[request]`.
    """
    if needs_next_token(gate):
        return np.ones(len(items.items), dtype=bool)
    found = []
    for item, start in zip(items.items, items.starts, strict=False):
        baseline = Baseline.of_values(log_likelihoods[start : start + len(item.requests)].tolist())
        found.append(decide(gate, item, baseline, items.right_answer).amplified)
    return np.array(found)
