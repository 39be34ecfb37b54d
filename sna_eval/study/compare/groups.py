"""A group's items: those of its tasks, each weighing what it weighs in the group's value.

lm_eval weighs tasks by their size or alike. With `n` items in all, a task of `n_t` items among `k`
alike ones, each of its items counts `n / (k n_t)` times, so that the mean over all items is the
group's value. Which of the two a group does is seen from the value it reports.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sna_eval.study.compare.pairing import Pairs, pair
from sna_eval.study.results.records import MetricName, Run
from sna_eval.study.statistics import cluster_codes
from sna_eval.study.statistics.sampling import Floats

_TOLERANCE = 1e-6


def pair_group(runs: tuple[Run, Run], group: str, metric: MetricName) -> Pairs | None:
    """Pairs of all a group's items; `None` where they do not lead to what both runs report."""
    records = [run.tasks[group] for run in runs]
    if records[0].subtasks != records[1].subtasks:
        return None
    members = []
    for task in records[0].subtasks:
        if any(metric not in run.tasks[task].scores for run in runs if task in run.tasks):
            return None
        if any(task not in run.tasks for run in runs):
            return None
        found = pair(runs, task, metric)
        if found is None or found.aggregate.name != "mean":
            return None
        members.append(found)
    reported = [record.scores[metric].value for record in records]
    for weights in (_by_size(members), _alike(members)):
        pooled = _pooled(members, weights)
        values = [float(pooled.before.mean()), float(pooled.after.mean())]
        if all(
            math.isclose(value, expected, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
            for value, expected in zip(values, reported, strict=True)
        ):
            return pooled
    return None


def _by_size(members: Sequence[Pairs]) -> list[float]:
    return [1.0] * len(members)


def _alike(members: Sequence[Pairs]) -> list[float]:
    items = sum(len(member.before) for member in members)
    return [items / (len(members) * len(member.before)) for member in members]


def _pooled(members: Sequence[Pairs], weights: Sequence[float]) -> Pairs:
    def joined(halves: Sequence[Floats]) -> Floats:
        return np.concatenate([half * w for half, w in zip(halves, weights, strict=True)])

    return replace(
        members[0],
        before=joined([member.before for member in members]),
        after=joined([member.after for member in members]),
        zones=np.concatenate([member.zones for member in members]),
        clusters=_clusters(members),
    )


def _clusters(members: Sequence[Pairs]) -> NDArray[np.int64] | None:
    """Those of each task, as no other's: an answer that two tasks share is none."""
    if all(member.clusters is None for member in members):
        return None
    labels = [
        (task, place if member.clusters is None else int(member.clusters[place]))
        for task, member in enumerate(members)
        for place in range(len(member.before))
    ]
    return cluster_codes(labels)
