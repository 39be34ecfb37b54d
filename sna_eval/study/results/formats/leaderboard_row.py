"""One row of the Open LLM Leaderboard's table, version 2, as JSON.

The table is the data set `open-llm-leaderboard/contents`; a row carries, per benchmark, the share
that lm_eval reports (`"BBH Raw"`) and the leaderboard's rescaled score (`"BBH"`). It tells no
standard errors. IFEval's raw value is left out: like the rescaled one it is a mean of two metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError
from sna_eval.study.results.leaderboard import AVERAGE, COLUMNS, NORMALIZED, Column
from sna_eval.study.results.nested import finite
from sna_eval.study.results.records import MetricName, Reported, Run, TaskRecord
from sna_eval.typed import Json

HOLDS = "one row of the Open LLM Leaderboard"


def handles(raw: Any) -> bool:
    """Whether a file holds such a row."""
    titles = [title for column in COLUMNS for title in (column.title, f"{column.title} Raw")]
    return isinstance(raw, Mapping) and any(title in raw for title in titles)


def parse(raw: Json, path: Path) -> Run:
    """The row as a run."""
    tasks = {column.task: _record(column, raw) for column in COLUMNS}
    average = next((raw[key] for key in raw if key.startswith("Average")), None)
    if average is not None:
        scores = {NORMALIZED: _score(average, "Average")}
        tasks[AVERAGE] = TaskRecord(AVERAGE, scores, higher_is_better={NORMALIZED.metric: True})
    return Run(
        path=path,
        model=str(raw.get("fullname", "unknown")),
        kind="published",
        tasks={name: record for name, record in tasks.items() if record.scores},
        environment={"dtype": raw.get("Precision")},
    )


def _record(column: Column, raw: Json) -> TaskRecord:
    scores = {}
    if column.title in raw:
        scores[NORMALIZED] = _score(raw[column.title], column.title)
    raw_title = f"{column.title} Raw"
    metrics = {part.metric for part in column.parts}
    if raw_title in raw and len(metrics) == 1:
        scores[MetricName(metrics.pop())] = _score(raw[raw_title], raw_title)
    return TaskRecord(
        column.task,
        scores,
        facts={"shots": column.shots, "limit": "none"},
        higher_is_better={name.metric: True for name in scores},
    )


def _score(value: Any, field: str) -> Reported:
    known = finite(value)
    if known is None:
        raise InputError(field, expected="a number", got=value)
    return Reported(known)
