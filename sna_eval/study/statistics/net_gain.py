"""Net gain of a gate: what it wins less what it loses, on items that it was not fitted on.

A gate opens for items below a cut of the confidence. Of a task's items `i` under configuration `c`,
each worth `g_ci` (1 won, -1 lost, 0 neither), a cut `t` wins `mean_i g_ci [confidence_i < t]`.
Cutting where wins are frequent does not count what is lost (Vickers and Elkin 2006, Medical
Decision Making 26, 565-574, weigh both); and the best cut and the best configuration on some items
owe part of their gain to those items. So both are found on all parts of the items but one, and
counted on that one (cross-fitting: Athey and Wager 2021, Econometrica 89, 133-161). Parts share no
cluster.

Contributions of different parts are not independent, as each was found on the others: Student's
bound of their mean finds a gain in one noise out of eight. So the whole search is made anew with
the signs of whole clusters exchanged, which leaves noise as it was; `low` lies as far below the
gain as the 95 % quantile of those gains lies above 0, and `p` is their share at least as large.
Two items won out of sixty may be more than such searches find, and are no sure gain: `low` lies no
higher than Student's bound either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from sna_eval.clusters import Ints, fold_numbers
from sna_eval.study.statistics.clusters import Floats, clustered_stderr

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
    p: float
    """That as much is gained by chance."""
    won: float
    """Share of items that the gate opens for and that are won."""
    lost: float
    cuts: tuple[float, ...]
    """Found with each part left out."""
    clusters: int


def net_gain(
    tasks: Sequence[GatedItems],
    *,
    folds: int = FOLDS,
    confidence: float = 0.95,
    draws: int = 199,
    seed: int = 0,
) -> NetGain:
    """The cross-fitted net gain of one cut for all `tasks`.

    **Arguments:**

    - `draws`: searches with exchanged signs.
    """
    parts = [fold_numbers(task.clusters, folds, seed=seed) for task in tasks]
    held, cuts = _held_out(tasks, parts, folds)
    gain = _mean(held)
    drawn = np.array(list(_exchanged(tasks, parts, folds, draws, seed))) if gain > 0 else np.ones(1)
    won, lost = (_mean([sign * worth > 0 for worth in held]) for sign in (1, -1))
    return NetGain(
        gain=gain,
        low=min(
            gain - float(np.quantile(drawn, confidence, method="higher")),
            _students(tasks, held, confidence),
        )
        if gain > 0
        else gain,
        p=(1 + int(np.sum(drawn >= gain - 1e-12))) / (1 + len(drawn)),
        won=won,
        lost=lost,
        cuts=tuple(cuts),
        clusters=sum(len(np.unique(task.clusters)) for task in tasks),
    )


def _held_out(
    tasks: Sequence[GatedItems], parts: Sequence[Ints], folds: int
) -> tuple[list[Floats], list[float]]:
    """What every item contributes where it was left out, a task each, and the cuts."""
    held = [np.zeros(len(task.confidence)) for task in tasks]
    cuts = []
    for fold in range(folds):
        rest = [part != fold for part in parts]
        if not all(kept.any() for kept in rest):
            continue
        found = [
            (steadiest(task.effects[:, kept], task.clusters[kept]), kept)
            for task, kept in zip(tasks, rest, strict=True)
        ]
        cut = best_cut(
            [task.confidence[kept] for task, kept in zip(tasks, rest, strict=True)],
            [task.gains[n, kept] for task, (n, kept) in zip(tasks, found, strict=True)],
        )
        cuts.append(cut)
        for task, (number, kept), into in zip(tasks, found, held, strict=True):
            opened = ~kept & (task.confidence < cut)
            into[opened] = task.gains[number, opened]
    return held, cuts


def _exchanged(
    tasks: Sequence[GatedItems], parts: Sequence[Ints], folds: int, draws: int, seed: int
) -> Iterator[float]:
    """Gains of the same search where nothing but chance decides what is won."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        moved = []
        for task in tasks:
            signs = rng.choice(np.array([-1.0, 1.0]), size=int(task.clusters.max()) + 1)
            sign = signs[task.clusters]
            moved.append(replace(task, gains=task.gains * sign, effects=task.effects * sign))
        yield _mean(_held_out(moved, parts, folds)[0])


def _mean(values: Sequence[Floats | NDArray[np.bool_]]) -> float:
    """Over items, tasks counting alike."""
    return float(np.mean([np.mean(task) for task in values]))


def _students(tasks: Sequence[GatedItems], held: Sequence[Floats], confidence: float) -> float:
    """Student's lower bound of the mean contribution, clusters taken together, tasks alike."""
    variances = [
        float(clustered_stderr(worth, task.clusters)) ** 2
        for task, worth in zip(tasks, held, strict=True)
    ]
    freedom = sum(len(np.unique(task.clusters)) - 1 for task in tasks)
    if freedom < 1:
        return -np.inf
    spread = float(np.sqrt(np.nansum(variances))) / len(tasks)
    return _mean(held) - float(student.ppf(confidence, freedom)) * spread


def best_cut(confidence: Sequence[Floats], gains: Sequence[Floats]) -> float:
    """The cut with the largest net gain, midway between two items; of equals the lowest.

    `-inf`, below which there is nothing, where nothing is won net.

    **Arguments:**

    - `confidence`, `gains`: of every task, `[item]` each; tasks count alike.
    """
    sure = np.concatenate(confidence)
    worth = np.concatenate([of_fold / len(of_fold) for of_fold in gains])
    values, place = np.unique(sure, return_inverse=True)
    middles = (values[1:] + values[:-1]) / 2
    cuts = np.concatenate([[-np.inf], middles, [values[-1] + 1e-6]])
    net = np.concatenate([[0.0], np.cumsum(np.bincount(place, weights=worth))])
    return float(cuts[int(np.argmax(np.round(net, 12)))])


def steadiest(effects: Floats, clusters: Ints) -> int:
    """The configuration with the largest `mean - 2 stderr`, `[configuration, item]`."""
    stderr = np.nan_to_num(clustered_stderr(effects, clusters))
    return int(np.argmax(effects.mean(axis=1) - 2 * stderr))
