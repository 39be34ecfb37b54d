"""A run's items with both answers, task by task, for whoever shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sna_eval.errors import InputError, reading
from sna_eval.study.results.answers import ItemAnswers, answers_of
from sna_eval.study.results.locating import sample_file
from sna_eval.study.results.records import Run, TaskRecord
from sna_eval.study.results.samples import read_samples


@dataclass(frozen=True, eq=False)
class AnsweredTask:
    """The items of one task under one filter."""

    record: TaskRecord
    filter: str
    path: Path
    """File of its samples."""

    def items(self) -> Iterator[ItemAnswers]:
        """One at a time, in the order of the file.

        **Raises:** `InputError` for a line that is no sample of lm_eval's.
        """
        for sample in read_samples(self.path):
            if sample.filter == self.filter:
                with reading(sample.place, expected="a sample of lm_eval's", got=sample.raw):
                    item = answers_of(sample)
                yield item


def answered_tasks(run: Run, wanted: Sequence[str] = ()) -> list[AnsweredTask]:
    """Every task and filter that there are samples of, in the order of the result file.

    **Arguments:**

    - `wanted`: names or globs of tasks; empty for all.

    **Raises:** `InputError` where there are no samples, and for a name that no task has.
    """
    files = {name: sample_file(run.path, name) for name in run.tasks}
    known = {name: path for name, path in files.items() if path is not None}
    if not known:
        raise InputError(
            str(run.path), expected="samples beside the result file", got="none",
            hint="run lm_eval with --log_samples",
        )  # fmt: skip
    for asked in wanted:
        if not any(fnmatchcase(name, asked) for name in known):
            raise InputError("tasks", expected=f"one of {', '.join(known)}", got=asked)
    return [
        AnsweredTask(run.tasks[name], filter_name, path)
        for name, path in known.items()
        if not wanted or any(fnmatchcase(name, asked) for asked in wanted)
        for filter_name in dict.fromkeys(sample.filter for sample in read_samples(path))
    ]
