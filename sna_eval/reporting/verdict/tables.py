"""Tables of a verdict beside those of its hypotheses: slope, strengths, stability."""

from __future__ import annotations

import math

import numpy as np

from sna_eval.reporting.colours import short
from sna_eval.reporting.numbers import between, coefficient, p_value
from sna_eval.reporting.tables import Table
from sna_eval.study.nulls import claimed_slope
from sna_eval.study.statistics import DoseResponse, dose_response
from sna_eval.study.summary.variance import task_type
from sna_eval.study.verdict import TaskVerdict, Verdict
from sna_eval.study.verdict.rivals import DOSES

STABLE = (
    "How much of the claim's neurons other samples of the development items would have given "
    "(Nogueira, Sechidis and Brown 2018): 1 all of them, 0 as many as by chance; up to 0.4 counts "
    "as poor, above 0.75 as excellent."
)


def slope(found: Verdict) -> tuple[str | Table, ...]:
    """How the change of log-odds goes with the baseline; nothing for fewer than three tasks."""
    nulls = [task.null for task in found.tasks.values()]
    claimed = claimed_slope(nulls, [task_type(name) for name in found.tasks])
    if claimed is None:
        return ()
    words = (
        "The slope of the change in log-odds on the baseline's, tasks of one type sharing a random "
        "effect, among those of random rankings given the same search: where 95 % of them lie, and "
        "p two-sided."
    )
    row = (
        coefficient(claimed.claim.slope), between(claimed.claim.interval), p_value(claimed.claim.p),
        f"{coefficient(claimed.band.low)} to {coefficient(claimed.band.high)}",
        p_value(claimed.band.p), str(claimed.band.draws),
    )  # fmt: skip
    headings = ("slope", "95 %", "p (no slope)", "random rankings", "p (among them)", "draws")
    return words, Table(headings, (row,))


def doses(found: Verdict) -> Table:
    """Dose and response of every task and zone."""
    rows = tuple(
        (
            short(name), str(response.zone), str(response.n_items),
            *map(coefficient, response.effects), coefficient(response.trend),
            between(response.interval),
        )
        for name, task in found.tasks.items()
        for response in _responses(task)
    )  # fmt: skip
    strengths = tuple(f"{dose:g}" for dose in DOSES)
    return Table(("task", "zone", "items", *strengths, "trend", "95 %"), rows)


def _responses(task: TaskVerdict) -> tuple[DoseResponse, ...]:
    effects = np.array([dose.specific for dose in task.rivals.doses])
    return dose_response(DOSES, effects, task.null.items.zones, clusters=task.clusters)


def stability(found: Verdict) -> Table:
    """Of every claim's neurons."""
    rows = tuple(
        (
            short(name), str(task.null.claim.layer), str(task.null.claim.n_neurons),
            coefficient(math.nan if (own := task.rivals.stability) is None else own),
        )
        for name, task in found.tasks.items()
    )  # fmt: skip
    return Table(("task", "layer", "neurons", "stability"), rows)
