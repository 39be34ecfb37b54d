"""Baseline and amplified scores of one run beside each other, by task and zone, from its files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sna_eval.errors import InputError, reading
from sna_eval.study.results.locating import sample_files
from sna_eval.study.results.records import filtered
from sna_eval.study.results.samples import Sample, read_samples

_FIRST = ("prob", "acc")
"""The measure of a task, where it has them; else the first that the file has of both models."""

_ZONES = {1: "1", 2: "2", 3: "3", None: "none"}
"""Items of a task that the plan leaves alone have no zone."""


@dataclass(frozen=True)
class ZoneRow:
    """Means over one task's items of one filter and one zone, or of all zones."""

    task: str
    zone: str
    n_items: int
    measure: str
    baseline: float
    amplified: float
    oracle: bool = False
    """Whether the direction followed the right answer; files before it was written say no."""
    filter: str = "none"

    @property
    def label(self) -> str:
        """The task with its filter and its mark."""
        named = filtered(self.task, self.filter)
        return f"{named} (oracle)" if self.oracle else named

    @property
    def change(self) -> float:
        return self.amplified - self.baseline


def zone_rows(folder: str | Path) -> list[ZoneRow]:
    """Rows of the newest run in an output folder that was written with `--log_samples`.

    **Raises:** `InputError` where the folder has no samples of a task with baseline values.
    """
    files = sample_files(Path(folder))
    rows = [row for task, path in files.items() for row in _task_rows(task, read_samples(path))]
    if not rows:
        raise InputError(
            "output",
            expected="sample files of an `sna` run (--output_path and --log_samples)",
            got=str(folder),
        )
    return rows


def format_rows(rows: Sequence[ZoneRow]) -> str:
    """A table as text."""
    name = max([20, *(len(row.label) for row in rows)])
    measure = max([5, *(len(row.measure) + 1 for row in rows)])
    head = (
        f"{'task':<{name}} {'zone':>4} {'n':>4}  {'':<{measure}}"
        f"{'baseline':>9} {'amplified':>9} {'change':>8}"
    )
    lines = [head, "-" * len(head)]
    for row in rows:
        label = row.label if row.zone == "all" else ""
        lines.append(
            f"{label:<{name}} {row.zone:>4} {row.n_items:>4}  {row.measure:<{measure}}"
            f"{row.baseline:>9.4f} {row.amplified:>9.4f} {row.change:>+8.4f}"
        )
    return "\n".join(lines)


def measure_of(sample: Sample) -> str | None:
    """The measure that a task's items are shown by; `None` where it has none of both models.

    One that says nothing of this item is none: metrics may be told of some of a task's items alone.
    """
    metrics = [name for name in sample.paired_metrics() if _is_told(sample, name)]
    return next((name for name in (*_FIRST, *metrics) if name in metrics), None)


def _is_told(sample: Sample, metric: str) -> bool:
    return not isinstance(sample.raw[metric], (list, type(None)))


def _task_rows(task: str, samples: Iterable[Sample]) -> Iterator[ZoneRow]:
    filters: dict[str, _Means] = {}
    for sample in samples:
        means = filters.get(sample.filter)
        if means is None:
            measure = measure_of(sample)
            if measure is None:
                continue
            means = filters[sample.filter] = _Means(task, sample.filter, measure)
        if sample.raw.get(means.measure, means) is not None:
            means.add(sample)
    for means in filters.values():
        yield from means.rows()


class _Means:
    """The values of one task and filter, as they come."""

    def __init__(self, task: str, filter_name: str, measure: str) -> None:
        self.task, self.filter, self.measure = task, filter_name, measure
        self.oracle = False
        self._pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def add(self, sample: Sample) -> None:
        pair = sample.both(self.measure)
        with reading(sample.place, expected="scores and a zone", got=sample.raw):
            zone = _ZONES[sample.raw["zone"]]
        self._pairs["all"].append(pair)
        self._pairs[zone].append(pair)
        self.oracle = self.oracle or sample.oracle

    def rows(self) -> Iterator[ZoneRow]:
        for zone in ("all", "1", "2", "3"):
            if pairs := self._pairs.get(zone):
                before, after = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
                yield ZoneRow(
                    self.task, zone, len(pairs), self.measure, before, after,
                    oracle=self.oracle, filter=self.filter,
                )  # fmt: skip
