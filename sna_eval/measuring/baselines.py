"""What the unmodified model says of a task's items, and what a gate says to that."""

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
from sna_eval.measuring.values import Floats


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
