"""Net gain of a gate: what it wins less what it loses, on items that it was not fitted on.

A gate opens for items below a cut of the confidence. Of a task's items `i` under configuration `c`,
each worth `g_ci` (1 won, -1 lost, 0 neither), a cut `t` wins `mean_i g_ci [confidence_i < t]`.
Cutting where wins are frequent does not count what is lost (Vickers and Elkin 2006, Medical
Decision Making 26, 565-574, weigh both); and the best cut and the best configuration on some items
owe part of their gain to those items. So both are found on all parts of the items but one, and
counted on that one (cross-fitting: Athey and Wager 2021, Econometrica 89, 133-161). Parts share no
cluster.

`low` is the one-sided bound `mean - t stderr` of the held-out contributions, clusters taken
together. Nothing gained: nothing opens, and both are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from sna_eval.study.statistics.clusters import (
    Floats,
    Ints,
    clustered_stderr,
    fold_numbers,
)

FOLDS = 5


@dataclass(frozen=True, eq=False)
class GatedItems:
    """One task's items, and what each configuration that was tried does to them."""

    confidence: Floats
    """`[item]`."""
    gains: Floats
    """What is counted, `[configuration, item]`: 1 won, -1 lost."""
    effects: Floats
    """What a configuration is chosen by, `[configuration, item]`."""
    clusters: Ints
    """`[item]`, from 0."""


@dataclass(frozen=True)
class NetGain:
    """Of a gate, on items that neither cut nor configuration was found on."""

    gain: float
    """Mean per item; tasks count alike."""
    low: float
    """One-sided lower bound."""
    won: float
    """Share of items that the gate opens for and that are won."""
    lost: float
    cuts: tuple[float, ...]
    """Found with each part left out."""
    clusters: int


def net_gain(
    tasks: Sequence[GatedItems], *, folds: int = FOLDS, confidence: float = 0.95, seed: int = 0
) -> NetGain:
    """The cross-fitted net gain of one cut for all `tasks`."""
    parts = [fold_numbers(own.clusters, folds, seed=seed) for own in tasks]
    held = [np.zeros(len(own.confidence)) for own in tasks]
    cuts = []
    for fold in range(folds):
        rest = [part != fold for part in parts]
        if not all(kept.any() for kept in rest):
            continue
        chosen = [
            steadiest(own.effects[:, kept], own.clusters[kept])
            for own, kept in zip(tasks, rest, strict=True)
        ]
        cut = best_cut(
            [own.confidence[kept] for own, kept in zip(tasks, rest, strict=True)],
            [own.gains[c, kept] for own, c, kept in zip(tasks, chosen, rest, strict=True)],
        )
        cuts.append(cut)
        for own, number, kept, into in zip(tasks, chosen, rest, held, strict=True):
            opened = ~kept & (own.confidence < cut)
            into[opened] = own.gains[number, opened]
    return _summed_up(tasks, held, cuts, confidence)


def best_cut(confidence: Sequence[Floats], gains: Sequence[Floats]) -> float:
    """The cut with the largest net gain, midway between two items; of equals the lowest.

    **Arguments:**

    - `confidence`, `gains`: of every task, `[item]` each; tasks count alike.
    """
    sure = np.concatenate(confidence)
    worth = np.concatenate([own / len(own) for own in gains])
    values, place = np.unique(sure, return_inverse=True)
    cuts = np.concatenate(
        [values[:1], (values[1:] + values[:-1]) / 2, [np.nextafter(values[-1], np.inf)]]
    )
    net = np.concatenate([[0.0], np.cumsum(np.bincount(place, weights=worth))])
    return float(cuts[int(np.argmax(np.round(net, 12)))])


def steadiest(effects: Floats, clusters: Ints) -> int:
    """The configuration with the largest `mean - 2 stderr`, `[configuration, item]`."""
    stderr = np.nan_to_num(clustered_stderr(effects, clusters))
    return int(np.argmax(effects.mean(axis=1) - 2 * stderr))


def _summed_up(
    tasks: Sequence[GatedItems], held: Sequence[Floats], cuts: Sequence[float], confidence: float
) -> NetGain:
    share = len(tasks)
    items = sum(len(own) for own in held)
    scaled = np.concatenate([own * items / (share * len(own)) for own in held])
    starts = np.cumsum([0, *(int(own.clusters.max()) + 1 for own in tasks)])
    clusters = np.concatenate(
        [own.clusters + start for own, start in zip(tasks, starts, strict=False)]
    )
    count = len(np.unique(clusters))
    stderr = float(clustered_stderr(scaled, clusters))
    gain = float(scaled.mean())
    low = gain - float(student.ppf(confidence, count - 1)) * stderr if count > 1 else -np.inf
    won, lost = (float(np.mean([np.mean(sign * own > 0) for own in held])) for sign in (1, -1))
    return NetGain(gain, float(low), won, lost, tuple(cuts), count)
