"""Everything that is read from a store, in one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sna_eval.errors import reading
from sna_eval.study.statistics import check_draws
from sna_eval.study.summary.across_tasks import AcrossTasks, across_tasks
from sna_eval.study.summary.measurements import TaskMeasurements, read_measurements
from sna_eval.study.summary.response import ResponseCurve, response_curves
from sna_eval.study.summary.task_summary import (
    LayerMap,
    TaskSummary,
    ZoneMean,
    layer_map,
    summarise_task,
    zone_means,
)
from sna_eval.study.summary.variance import Decomposition, decompose_ranks, paper_factors
from sna_eval.study.sweep import Agreement, SweepStore, store_agreements


@dataclass(frozen=True, eq=False)
class Summary:
    """A sweep, summed up."""

    measurements: tuple[TaskMeasurements, ...]
    tasks: tuple[TaskSummary, ...]
    zones: tuple[ZoneMean, ...]
    layers: LayerMap
    across: tuple[AcrossTasks, ...]
    """Empty where there are fewer than three tasks."""
    factors: Decomposition | None
    """`None` where there are too few tasks for as many factors, one has a baseline of 0, or the
    sweep was screened."""
    curves: tuple[ResponseCurve, ...]
    """Of tasks with choices."""
    agreements: Mapping[str, Sequence[Agreement]] = field(default_factory=dict)
    """How well a screened sweep's predictions held, by task and multiplier; empty of a full one."""


def summarise(
    store: SweepStore, *, allow_oracle: bool = False, draws: int = 10_000, seed: int = 0
) -> Summary:
    """Sums a finished store up.

    **Arguments:**

    - `allow_oracle`: whether directions that depend on the right answer count in the tables; in
        the response curves they are shown, marked, in any case.
    - `draws`: bootstrap samples and random deals.
    """
    check_draws(draws)
    with reading(
        "store", expected="tables as `sna-eval sweep` wrote them", got=str(store.path),
        hint="delete the damaged task's files, and the same sweep computes them anew",
    ):  # fmt: skip
        measurements = read_measurements(store, allow_oracle=allow_oracle)
        tasks = tuple(summarise_task(measurement) for measurement in measurements)
        return Summary(
            measurements=measurements,
            tasks=tasks,
            zones=zone_means(tasks),
            layers=layer_map(measurements),
            across=across_tasks(tasks, draws=draws, seed=seed),
            factors=_factors(measurements, tasks, draws=max(1, draws // 5), seed=seed),
            curves=_curves(store),
            agreements=store_agreements(store),
        )


def _factors(
    measurements: Sequence[TaskMeasurements], tasks: Sequence[TaskSummary], *, draws: int, seed: int
) -> Decomposition | None:
    """Of the mean improvement, which no single lucky configuration decides."""
    screened = any(measurement.drawn is not None for measurement in measurements)
    if screened or any(task.baseline == 0 for task in tasks):
        return None
    means = [task.mean_improvement for task in tasks]
    return decompose_ranks(means, paper_factors(measurements), draws=draws, seed=seed)


def _curves(store: SweepStore) -> tuple[ResponseCurve, ...]:
    return tuple(
        curve
        for task in store.manifest["tasks"]
        for curve in response_curves(task, store.table("configurations", tasks=[task]))
    )
