"""Baseline and amplified scores of one run side by side, by task and zone, from its files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sna_eval.bounded import read_lines
from sna_eval.errors import InputError, reading

_MEASURES = (("prob", "baseline_prob"), ("acc", "baseline_acc"))
"""Amplified and baseline value of a sample; the first pair that a task has counts."""
_ZONES = {1: "1", 2: "2", 3: "3"}


@dataclass(frozen=True)
class ZoneRow:
    """Means over one task's items of one zone, or of all zones."""

    task: str
    zone: str
    n_items: int
    measure: str
    baseline: float
    amplified: float
    oracle: bool = False
    """Whether the direction followed the right answer; files before it was written say no."""

    @property
    def label(self) -> str:
        """The task with its mark."""
        return f"{self.task} (oracle)" if self.oracle else self.task

    @property
    def change(self) -> float:
        return self.amplified - self.baseline


def zone_rows(folder: str | Path) -> list[ZoneRow]:
    """Rows of the newest run in an output folder that was written with `--log_samples`.

    **Raises:** `InputError` where the folder has no samples of a task with baseline values.
    """
    files = newest_samples(Path(folder))
    rows = [row for task, path in files.items() for row in _task_rows(task, read_samples(path))]
    if not rows:
        raise InputError(
            "output",
            expected="sample files of an `sna` run (--output_path and --log_samples)",
            got=str(folder),
        )
    return rows


def format_rows(rows: Iterable[ZoneRow]) -> str:
    """A table as text."""
    head = (
        f"{'task':<20} {'zone':>4} {'n':>4}  {'':<5}{'baseline':>9} {'amplified':>9} {'change':>8}"
    )
    lines = [head, "-" * len(head)]
    for row in rows:
        lines.append(
            f"{row.label if row.zone == 'all' else '':<20} {row.zone:>4} {row.n_items:>4}  "
            f"{row.measure:<5}{row.baseline:>9.4f} {row.amplified:>9.4f} {row.change:>+8.4f}"
        )
    return "\n".join(lines)


def newest_samples(folder: Path) -> dict[str, Path]:
    """The sample files of the newest run: lm_eval ends the names of a run's files with its time.

    Without a result file, each task's newest.
    """
    runs = [path.stem.rpartition("_")[2] for path in folder.rglob("results_*.json")]
    newest: dict[str, Path] = {}
    for path in sorted(folder.rglob("samples_*.jsonl"), key=lambda path: path.name):
        task, _, date = path.stem.removeprefix("samples_").rpartition("_")
        if not runs or date == max(runs):
            newest[task] = path
    return newest


def read_samples(path: Path) -> Iterator[Mapping[str, Any]]:
    """The samples of one file, in its order.

    **Raises:** `InputError` for a line that is no sample.
    """
    for number, line in read_lines(path):
        with reading(f"{path}:{number}", expected="a sample in JSON", got=path.name):
            sample = json.loads(line)
            if not isinstance(sample, dict):
                raise TypeError("no mapping")
        yield sample


def _task_rows(task: str, samples: Iterable[Mapping[str, Any]]) -> Iterator[ZoneRow]:
    values: dict[str, list[tuple[float, float]]] = defaultdict(list)
    measure, oracle = "", False
    for sample in samples:
        for after, before in _MEASURES:
            if after in sample and before in sample:
                measure = after
                with reading(f"samples of {task}", expected="scores and a zone", got=sample):
                    pair = (float(sample[before]), float(sample[after]))
                    zone = _ZONES[sample["zone"]]
                values["all"].append(pair)
                values[zone].append(pair)
                oracle = oracle or sample.get("oracle") in (True, 1.0)
                break
    for zone in ("all", *_ZONES.values()):
        if pairs := values.get(zone):
            before_mean, after_mean = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
            yield ZoneRow(task, zone, len(pairs), measure, before_mean, after_mean, oracle)
