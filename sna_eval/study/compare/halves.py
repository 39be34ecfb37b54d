"""One `sna` run as two: what the unmodified model scored, and what the amplified one did.

Both of every item stand in the samples: `acc` and `baseline_acc`, `prob` and `baseline_prob`. Where
they do not (`report_baseline=false`, or an older run of a task that is not bundled) there is one
half only: run once more with `gate=never` and compare the two runs.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

from sna_eval.errors import InputError
from sna_eval.study.results.records import (
    BASELINE,
    Items,
    ItemsByFilter,
    MetricName,
    Reported,
    Run,
    TaskRecord,
    is_outcome,
)


def split(run: Run) -> tuple[Run, Run]:
    """The baseline half and the amplified half."""
    if run.plan is None or not any(map(_baselines, run.tasks.values())):
        raise InputError(
            str(run.path), expected="an `sna` run of tasks with baseline metrics, or a second run",
            got=f"one run of kind {run.kind!r}",
            hint="name two runs; `gate=never` makes the baseline of any task",
        )  # fmt: skip
    if not any(record.items for record in run.tasks.values()):
        raise InputError(
            str(run.path), expected="samples beside the result file", got="none",
            hint="run lm_eval with --log_samples",
        )  # fmt: skip
    return _half(run, "baseline"), _half(run, "amplified")


def _half(run: Run, half: str) -> Run:
    tasks = {name: _half_of_task(record, half) for name, record in run.tasks.items()}
    kept = {name: record for name, record in tasks.items() if record.scores}
    return replace(run, tasks=kept, half=half, amplified=half == "amplified")


def _half_of_task(record: TaskRecord, half: str) -> TaskRecord:
    found = _baselines(record)
    scores = found if half == "baseline" else {name: record.scores[name] for name in found}
    items = record.items
    if items is not None:
        metrics = tuple(name.metric for name in found)
        items = functools.cache(functools.partial(_items_of_half, items, metrics, half))
    if half == "baseline":
        record = replace(record, oracle=False, sees_answer=False)
    return replace(record, scores=scores, items=items)


def _baselines(record: TaskRecord) -> dict[MetricName, Reported]:
    """Baseline scores under the names of the metrics they belong to."""
    return {
        name: record.scores[name.baseline]
        for name in record.scores
        if is_outcome(name.metric) and name.baseline in record.scores
    }


def _items_of_half(load: object, metrics: tuple[str, ...], half: str) -> ItemsByFilter:
    assert callable(load)
    whole: Mapping[str, Items] = load()
    return {name: _half_of_items(items, metrics, half) for name, items in whole.items()}


def _half_of_items(items: Items, metrics: tuple[str, ...], half: str) -> Items:
    prefix = BASELINE if half == "baseline" else ""
    values = {
        name: items.values[prefix + name] for name in metrics if prefix + name in items.values
    }
    if half == "baseline":  # the log-likelihoods in the file are the amplified model's
        choices = items.baseline_choices
        items = replace(items, choices=choices or ((),) * len(items.keys))
    return replace(items, values=values)
