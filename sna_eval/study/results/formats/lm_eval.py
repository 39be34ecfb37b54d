"""Today's result files, as lm_eval writes them since 0.4.0."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sna_eval.gating import Gate
from sna_eval.harness.tasks.clusters import metadata_field
from sna_eval.plan.files import parse_gate
from sna_eval.study.results.leaderboard import with_normalized
from sna_eval.study.results.lm_eval_facts import (
    environment,
    is_oracle,
    metric_definitions,
    shown_version,
    task_facts,
)
from sna_eval.study.results.locating import sample_file
from sna_eval.study.results.nested import finite, mapping
from sna_eval.study.results.records import MetricName, Reported, Run, TaskRecord
from sna_eval.study.results.samples import read_items

HOLDS = "`results` by task"


def handles(raw: Any) -> bool:
    """Whether a file holds `results` whose metrics are named with their filters, as `acc,none`, or
    the tasks' `configs`, which older ones have not.
    """
    results = raw.get("results") if isinstance(raw, Mapping) else None
    if not isinstance(results, Mapping) or not results:
        return False
    entries = [values for values in results.values() if isinstance(values, Mapping)]
    return "configs" in raw or any("," in key for values in entries for key in values)


def parse(raw: Mapping[str, Any], path: Path) -> Run:
    """A run from the content of its result file."""
    config = mapping(raw, "config")
    done = mapping(config, "sna")
    records = {name: _record(raw, name, path) for name in mapping(raw, "results")}
    return Run(
        path=path,
        model=str(raw.get("model_name") or _pretrained(config) or "unknown"),
        kind=str(config.get("model") or raw.get("model_source") or "unknown"),
        tasks=with_normalized(records),
        environment=environment(raw),
        amplified=any(_acts(task) for task in mapping(done, "tasks").values()),
        plan=done.get("plan_fingerprint"),
    )


def _record(raw: Mapping[str, Any], name: str, path: Path) -> TaskRecord:
    done = mapping(raw, "config", "sna", "tasks", name)
    samples = sample_file(path, name)
    subtasks = tuple(_leaves(mapping(raw, "group_subtasks"), name))
    gate = done.get("gate")
    named = done.get("cluster") or metadata_field(mapping(raw, "configs", name).get("metadata"))
    cluster = str(named) if named else None
    entries = [mapping(raw, "config", "sna", "tasks", task) for task in (subtasks or (name,))]
    return TaskRecord(
        name=name,
        scores=dict(_scores(mapping(raw, "results", name))),
        facts=task_facts(raw, name, subtasks),
        definitions=dict(metric_definitions(mapping(raw, "configs", name))),
        higher_is_better=mapping(raw, "higher_is_better", name),
        version=shown_version(raw, name),
        items=functools.cache(functools.partial(read_items, samples, cluster)) if samples else None,
        subtasks=subtasks,
        gate=None if gate is None else parse_gate(gate, f"{path}: gate of {name}", Gate()),
        cluster=cluster,
        oracle=any(map(is_oracle, entries)),
        sees_answer=any(bool(entry.get("sees_answer")) for entry in entries),
    )


def _scores(values: Mapping[str, Any]) -> Iterator[tuple[MetricName, Reported]]:
    """`acc,none` and `acc_stderr,none` as one entry; values that are no numbers are left out."""
    for key, given in values.items():
        metric, comma, filter_name = key.partition(",")
        value = finite(given)
        if comma and value is not None and not metric.endswith("_stderr"):
            stderr = finite(values.get(f"{metric}_stderr,{filter_name}"))
            yield MetricName(metric, filter_name), Reported(value, stderr)


def _acts(task: Mapping[str, Any]) -> bool:
    return mapping(task, "gate").get("mode") != "never" and bool(task.get("interventions"))


def _pretrained(config: Mapping[str, Any]) -> str | None:
    given = config.get("model_args")
    if isinstance(given, Mapping):
        return given.get("pretrained")
    found = re.search(r"(?:pretrained|model)=([^,]+)", str(given))
    return found.group(1) if found else None


def _leaves(children: Mapping[str, Any], name: str) -> Iterator[str]:
    """The tasks below a group, groups within groups resolved."""
    for child in children.get(name) or ():
        if children.get(child):
            yield from _leaves(children, child)
        else:
            yield child
