"""Two runs compared, task by task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from sna_eval.errors import InputError
from sna_eval.study.compare.comparability import (
    Difference,
    NotComparable,
    common_metrics,
    find_cautions,
    find_differences,
)
from sna_eval.study.compare.effects import (
    Harm,
    MetricChange,
    ZoneEffect,
    harm,
    paired_effect,
    unpaired_effect,
    zone_effects,
)
from sna_eval.study.compare.groups import pair_group
from sna_eval.study.compare.options import Options
from sna_eval.study.compare.pairing import pair
from sna_eval.study.compare.panels import Panel, panel
from sna_eval.study.results.records import (
    PLACEHOLDER,
    MetricName,
    Reported,
    Run,
    TaskRecord,
    is_outcome,
)
from sna_eval.study.statistics import benjamini_hochberg, holm

Bound = Literal["estimate", "low", "high"]
"""The difference itself, or an end of its interval."""


@dataclass(frozen=True)
class MetricRow:
    """One task and metric."""

    task: str
    metric: MetricName
    effect: MetricChange
    a: Reported
    """As run A reports it."""
    b: Reported
    version: str = ""
    shots: int | None = None
    higher_is_better: bool | None = True
    """`None` where no run says."""
    is_group: bool = False
    p_holm: float = float("nan")
    """Corrected over the tasks compared on this metric; groups are not tests of their own."""
    p_bh: float = float("nan")
    zones: tuple[ZoneEffect, ...] = ()
    """Explored, not corrected."""
    harm: Harm | None = None
    oracle: bool = False
    """Whether a run's direction followed the right answer."""
    sees_answer: bool = False
    """Whether a run's gate or direction looked at it."""
    forced: bool = False
    """Whether the two results are not comparable."""

    def improvement(self, by: Bound = "estimate") -> float:
        """How much better B is."""
        interval = self.effect.interval
        sign, low, high = 1, interval.low, interval.high
        if self.higher_is_better is False:
            sign, low, high = -1, -interval.high, -interval.low
        return {"estimate": sign * self.effect.difference, "low": low, "high": high}[by]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Run B against run A."""

    a: Run
    b: Run
    options: Options
    rows: tuple[MetricRow, ...]
    differences: tuple[Difference, ...]
    """What was overruled with `force`."""
    cautions: tuple[str, ...]
    panels: tuple[Panel, ...]
    """Every task on every scale, where both runs wrote log-likelihoods."""
    only_a: tuple[str, ...]
    """Tasks that B lacks."""
    only_b: tuple[str, ...]


def compare(a: Run, b: Run, options: Options | None = None) -> Comparison:
    """Compares all tasks that both runs have.

    **Raises:** `NotComparable` with everything that differs, unless forced; `InputError` where the
    runs share no task or metric.
    """
    options = options or Options()
    tasks = _common_tasks(a, b, options)
    differences = tuple(
        difference
        for task in tasks
        for difference in find_differences(
            a.tasks[task], b.tasks[task], _metrics(a, b, task, options)
        )
    )
    if differences and not options.force:
        raise NotComparable(differences, len(tasks))
    marked = {difference.task for difference in differences}
    rows = [
        _row((a, b), task, metric, options, forced=task in marked)
        for task in tasks
        for metric in _metrics(a, b, task, options)
    ]
    if not rows:
        raise InputError(
            "metrics",
            expected="a metric that both runs have",
            got=list(options.metrics) or "none",
            hint="name other --metrics, or runs of the same tasks",
        )
    return Comparison(
        a=a,
        b=b,
        options=options,
        rows=tuple(_corrected(rows)),
        differences=differences,
        cautions=tuple(find_cautions(a, b, tasks)),
        panels=tuple(found for task in tasks if (found := _panel((a, b), task, options))),
        only_a=tuple(sorted(set(a.tasks) - set(b.tasks))),
        only_b=tuple(sorted(set(b.tasks) - set(a.tasks))),
    )


def _common_tasks(a: Run, b: Run, options: Options) -> list[str]:
    common = [task for task in a.tasks if task in b.tasks]
    if not common:
        raise InputError(
            "compare", expected="runs that share a task",
            got=f"{_some(list(a.tasks))} against {_some(list(b.tasks))}",
        )  # fmt: skip
    for wanted in options.tasks:
        if not any(fnmatchcase(task, wanted) for task in common):
            raise InputError("tasks", expected=f"one of {_some(common)}", got=wanted)
    if not options.tasks:
        return [task for task in common if a.tasks[task].scores and b.tasks[task].scores]
    return [
        task
        for task in common
        if any(fnmatchcase(task, wanted) for wanted in options.tasks)
        and (a.tasks[task].scores or b.tasks[task].scores)  # a group may have none at all
    ]


def _metrics(a: Run, b: Run, task: str, options: Options) -> list[MetricName]:
    common = common_metrics(a.tasks[task], b.tasks[task])
    if options.metrics:
        asked = [name for name in common if name.metric in options.metrics]
        return [name for name in asked if name.metric != PLACEHOLDER]
    return [name for name in common if is_outcome(name.metric)]


def _row(
    runs: tuple[Run, Run], task: str, metric: MetricName, options: Options, *, forced: bool
) -> MetricRow:
    a, b = runs[0].tasks[task], runs[1].tasks[task]
    row = MetricRow(
        task=task,
        metric=metric,
        effect=unpaired_effect(a.scores[metric], b.scores[metric], options, documents=_alike(a, b)),
        a=a.scores[metric],
        b=b.scores[metric],
        version=a.version,
        shots=a.facts.get("shots"),
        higher_is_better=_direction(a, b, metric.metric),
        is_group=bool(a.subtasks),
        oracle=a.oracle or b.oracle,
        sees_answer=a.sees_answer or b.sees_answer,
        forced=forced,
    )
    pairs = pair_group(runs, task, metric) if row.is_group else pair(runs, task, metric)
    if pairs is None:
        return row
    higher = row.higher_is_better is not False
    return replace(
        row,
        effect=paired_effect(pairs, options, higher_is_better=higher),
        zones=zone_effects(pairs, options, higher_is_better=higher),
        harm=harm(pairs, higher_is_better=higher) if _held_open(runs, task) else None,
    )


def _panel(runs: tuple[Run, Run], task: str, options: Options) -> Panel | None:
    return None if runs[0].tasks[task].subtasks else panel(runs, task, options)


def _held_open(runs: tuple[Run, Run], task: str) -> bool:
    """Whether neither run left items alone because the model was sure of them."""
    for run in runs:
        names = run.tasks[task].subtasks or (task,)
        gates = [run.tasks[name].gate for name in names if name in run.tasks]
        if run.amplified and any(gate is not None and gate.mode != "always" for gate in gates):
            return False
    return True


def _alike(a: TaskRecord, b: TaskRecord) -> int | None:
    """The number of documents, if both have the same."""
    documents: int | None = a.facts.get("documents")
    return documents if documents == b.facts.get("documents") else None


def _direction(a: TaskRecord, b: TaskRecord, metric: str) -> bool | None:
    first = a.higher_is_better.get(metric)
    return first if first is not None else b.higher_is_better.get(metric)


def _corrected(rows: Sequence[MetricRow]) -> list[MetricRow]:
    """Holm and Benjamini-Hochberg over the tasks of each metric."""
    families: dict[MetricName, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if not row.is_group:
            families[row.metric].append(place)
    corrected = list(rows)
    for places in families.values():
        p_values = [rows[place].effect.p for place in places]
        for place, strict, mild in zip(
            places, holm(p_values), benjamini_hochberg(p_values), strict=True
        ):
            corrected[place] = replace(rows[place], p_holm=strict, p_bh=mild)
    return corrected


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
