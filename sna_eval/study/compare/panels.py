"""A task's change on every scale, where both runs wrote what they thought of each choice.

Probabilities are those among an item's choices; of a single continuation, its own. Behind a gate,
items that it leaves alone have no change and count all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from sna_eval.study.compare.options import Options
from sna_eval.study.compare.pairing import both_items, shared, shared_clusters
from sna_eval.study.results.records import Items, Run
from sna_eval.study.statistics import (
    ItemScales,
    ScaleChange,
    item_scales,
    scale_panel,
    target_scales,
)
from sna_eval.study.statistics.sampling import Floats

_DRAWS = 2_000


@dataclass(frozen=True)
class Panel:
    """One task's."""

    task: str
    n: int
    """Items that both runs have log-likelihoods of."""
    scales: tuple[ScaleChange, ...]


def panel(runs: tuple[Run, Run], task: str, options: Options) -> Panel | None:
    """The panel of one task; `None` where a run has no log-likelihoods, as of generated texts."""
    records = (runs[0].tasks[task], runs[1].tasks[task])
    filters = records[0].items() if records[0].items is not None else {}
    items = next((pair for name in filters if (pair := both_items(*records, name))), None)
    if items is None:
        return None
    one, other = shared(*items)
    pairs = [
        (p, q)
        for p, q in zip(one, other, strict=True)
        if _usable(items[0], p) and _usable(items[1], q)
        and len(items[0].choices[p]) == len(items[1].choices[q])
    ]  # fmt: skip
    if not pairs:
        return None
    one, other = [p for p, _ in pairs], [q for _, q in pairs]
    scales = scale_panel(
        _scales(items[0], one),
        _scales(items[1], other),
        clusters=shared_clusters(records, items, one, other),
        confidence=options.confidence,
        draws=min(options.draws, _DRAWS),
        seed=options.seed,
    )
    return Panel(task, len(pairs), scales)


def _usable(items: Items, place: int) -> bool:
    """Whether there are finite log-likelihoods of it, and a right answer among several."""
    choices = items.choices[place]
    known = bool(choices) and bool(np.isfinite(choices).all())
    return known and (len(choices) == 1 or _gold(items, place) is not None)


def _gold(items: Items, place: int) -> int | None:
    return items.gold[place] if items.gold else None


def _scales(items: Items, places: Sequence[int]) -> ItemScales:
    offered = [items.choices[place] for place in places]
    if all(len(choices) == 1 for choices in offered):
        return target_scales([choices[0] for choices in offered])
    width = max(map(len, offered))
    table: Floats = np.full((len(offered), width), -np.inf)
    for row, choices in zip(table, offered, strict=True):
        row[: len(choices)] = choices
    gold = [_gold(items, place) or 0 for place in places]
    return item_scales(log_softmax(table, axis=1), gold)
