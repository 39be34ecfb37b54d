"""Whether two runs asked the same questions in the same way: what differs, what may move scores.

Some differences forbid a comparison. Others do not and may move scores a little: batch size, dtype,
device and library versions change log-likelihoods in the last digits, and with them an answer now
and then (lm_eval issues 704, 1645 and 2583).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sna_eval.errors import InputError
from sna_eval.gating import DESCRIPTIVE
from sna_eval.study.compare.formatting import listed
from sna_eval.study.compare.pairing import both_items, shared
from sna_eval.study.results.records import MetricName, Run, TaskRecord, is_outcome

_TASK_HASH = "task hash"


@dataclass(frozen=True)
class Difference:
    """Something that must agree and does not."""

    task: str
    what: str
    """E.g. `shots`, `prompts`, `normalization of acc`."""
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.what}: {self.a} against {self.b}"


class NotComparable(InputError):
    """Two runs that did not ask the same; carries everything that differs."""

    def __init__(self, differences: Sequence[Difference], tasks: int) -> None:
        self.differences = tuple(differences)
        lines = list(dict.fromkeys(map(str, differences)))
        affected = len({difference.task for difference in differences})
        super().__init__(
            "compare",
            expected="runs with the same prompts, documents and scoring",
            got="; ".join(lines[:2]) + ("; ..." if len(lines) > 2 else ""),
            hint=f"{affected} of {tasks} tasks differ; --force compares all the same and marks it",
        )


def grouped(differences: Sequence[Difference]) -> list[str]:
    """One line per difference, with the tasks it concerns."""
    tasks: dict[str, list[str]] = defaultdict(list)
    for difference in differences:
        tasks[str(difference)].append(difference.task)
    return [f"{line} ({listed(names)})" for line, names in tasks.items()]


def find_differences(
    a: TaskRecord, b: TaskRecord, metrics: Sequence[MetricName]
) -> list[Difference]:
    """Everything that keeps one task's two results from being compared on `metrics`."""
    return [
        *_fact_differences(a, b),
        *_item_differences(a, b),
        *_metric_differences(a, b, metrics),
    ]


def common_metrics(a: TaskRecord, b: TaskRecord) -> list[MetricName]:
    """Metrics that both records have, in the order of the first."""
    return [name for name in a.scores if name in b.scores]


def _fact_differences(a: TaskRecord, b: TaskRecord) -> Iterator[Difference]:
    prompts_known = _prompts_known(a, b)
    for what in a.facts:
        first, second = a.facts[what], b.facts.get(what)
        if first is None or second is None or first == second:
            continue
        if what.startswith("prompt.") and prompts_known:
            continue
        if what == _TASK_HASH and _both_have_items(a, b):
            continue  # the items themselves are compared
        if what == "limit" and a.facts.get("documents") and b.facts.get("documents"):
            continue  # their numbers are compared
        yield Difference(a.name, what, _shown(first), _shown(second))


def _prompts_known(a: TaskRecord, b: TaskRecord) -> bool:
    """Whether the prompts as sent can be compared, so that their makings need not be."""
    first, second = a.facts.get(_TASK_HASH), b.facts.get(_TASK_HASH)
    return _both_have_items(a, b) or (first is not None and first == second)


def _both_have_items(a: TaskRecord, b: TaskRecord) -> bool:
    return a.items is not None and b.items is not None


def _item_differences(a: TaskRecord, b: TaskRecord) -> Iterator[Difference]:
    if a.items is None or b.items is None:
        return
    for filter_name in a.items():
        items = both_items(a, b, filter_name)
        if items is None:
            continue
        one, other = shared(*items)
        sizes = [len(side.keys) for side in items]
        if len(one) < max(sizes):
            counted = [f"{size - len(one)} of {size} not in the other run" for size in sizes]
            yield Difference(a.name, "documents", *counted)
        for what, first, second in (
            ("prompts", items[0].prompts, items[1].prompts),
            ("targets", items[0].targets, items[1].targets),
        ):
            places = zip(one, other, strict=True)
            unequal = [(p, q) for p, q in places if first[p] != second[q]]
            if unequal:
                p, q = unequal[0]
                share = f"({len(unequal)} of {len(one)})"
                yield Difference(a.name, what, f"{first[p][:8]}.. {share}", f"{second[q][:8]}..")
        return  # every filter saw the same documents


def _metric_differences(
    a: TaskRecord, b: TaskRecord, metrics: Sequence[MetricName]
) -> Iterator[Difference]:
    if not common_metrics(a, b):
        yield Difference(a.name, "normalization", _names(a), _names(b))
    for name in dict.fromkeys(metric.metric for metric in metrics):
        first, second = a.definitions.get(name, {}), b.definitions.get(name, {})
        for key in first:
            if None not in (first[key], second.get(key)) and first[key] != second[key]:
                what = f"normalization of {name} ({key})"
                yield Difference(a.name, what, _shown(first[key]), _shown(second[key]))


def _names(record: TaskRecord) -> str:
    names = [str(name) for name in record.scores]
    return ", ".join([name for name in names if is_outcome(name)] or names) or "no score"


def _shown(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


_TOLERANCE = 1e-5


def find_cautions(a: Run, b: Run, tasks: Sequence[str]) -> list[str]:
    """One line for each."""
    return [*_environment(a, b), *_models(a, b, tasks), *_answers(a, b, tasks)]


def _environment(a: Run, b: Run) -> Iterator[str]:
    unknown = []
    for label in dict.fromkeys([*a.environment, *b.environment]):
        first, second = a.environment.get(label), b.environment.get(label)
        if (first is None) != (second is None):
            unknown.append(label)
        elif first != second:
            yield f"{label}: {first} against {second}"
    if unknown:
        yield f"known of one run only: {', '.join(unknown)}"


def _models(a: Run, b: Run, tasks: Sequence[str]) -> Iterator[str]:
    """Where one run is amplified, the other must be its baseline for the effect to be its own.

    Seen from the baseline that an amplified run of the bundled tasks carries along, and where there
    is none, from the models' names.
    """
    if a.amplified == b.amplified or a.half:
        return
    plain, amplified = (b, a) if a.amplified else (a, b)
    known = [
        (task, name, score.value, baseline.value)
        for task in tasks
        for name, score in plain.tasks[task].scores.items()
        if is_outcome(name.metric)
        and (baseline := amplified.tasks[task].scores.get(name.baseline)) is not None
    ]
    for task, name, value, other in known:
        if abs(value - other) > _TOLERANCE:
            yield (
                f"baseline of {task} {name}: {value:.6g} in the plain run, "
                f"{other:.6g} in the amplified one"
            )
    if not known and a.model != b.model:
        yield f"model: {a.model} against {b.model}, and only one of them amplified"


def _answers(a: Run, b: Run, tasks: Sequence[str]) -> Iterator[str]:
    """Where the right answer had a say: in the direction, or in the gate alone."""
    for label, run in (("A", a), ("B", b)):
        records = [run.tasks[task] for task in tasks if not run.tasks[task].subtasks]
        oracles = [record.name for record in records if record.oracle]
        gates = [record.name for record in records if record.sees_answer and not record.oracle]
        if oracles:
            yield f"oracle: {label} amplified by the right answer in {listed(oracles)}"
        if gates:
            yield (
                f"gate: that of {label} sees the right answer in {listed(gates)}, where "
                f"{DESCRIPTIVE}"
            )
