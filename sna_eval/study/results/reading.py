"""From a path to a run, whichever format the file has.

A format is a module of `formats` with `handles(raw)`, `parse(raw, path)` and `HOLDS`, what it takes
a file to hold, in words. There is no list of them: a file in that folder is enough.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from pathlib import Path
from typing import Any, Protocol, cast

from sna_eval.errors import InputError, reading
from sna_eval.files import read_json
from sna_eval.study.results import formats
from sna_eval.study.results.locating import result_file
from sna_eval.study.results.records import BASELINE, PLACEHOLDER, Run


class ResultFormat(Protocol):
    """What a module of `formats` has."""

    HOLDS: str
    __name__: str

    def handles(self, raw: Any) -> bool:
        """Whether what a JSON file holds is of this format; no two formats take the same."""
        ...

    def parse(self, raw: Any, path: Path) -> Run:
        """The run; may fail in any way where a file is damaged."""
        ...


@functools.cache
def result_formats() -> tuple[ResultFormat, ...]:
    """All formats, by the names of their files."""
    names = sorted(found.name for found in pkgutil.iter_modules(formats.__path__))
    modules = (importlib.import_module(f"{formats.__name__}.{name}") for name in names)
    return tuple(cast(ResultFormat, module) for module in modules)


def read_run(path: str | Path, *, scored: bool = True) -> Run:
    """The run at a path: a result file, a folder of lm_eval's, or a leaderboard's row.

    **Arguments:**

    - `scored`: refuse a run that has no scores, only answers.

    **Raises:** `InputError` where nothing there can be read as a run.
    """
    file = result_file(path)
    raw = read_raw(file)
    if isinstance(raw, list) and len(raw) == 1:
        raw = raw[0]
    known = next((kind for kind in result_formats() if kind.handles(raw)), None)
    if known is None:
        raise InputError(
            str(file),
            expected=", or ".join(dict.fromkeys(kind.HOLDS for kind in result_formats())),
            got=sorted(raw) if isinstance(raw, dict) else raw,
            hint="name the results_*.json that lm_eval wrote",
        )  # fmt: skip
    with reading(
        str(file), expected="a result file as lm_eval writes it", got=file.name,
        hint="name the results_*.json that lm_eval wrote",
    ):  # fmt: skip
        run = known.parse(raw, file)
    if scored:
        _check_scored(run)
    return run


def _check_scored(run: Run) -> None:
    """Placeholders are no scores: alike in every run, they would pass for what did not change."""
    scores = {name.metric for task in run.tasks.values() for name in task.scores}
    asked = {name for task in run.tasks.values() for name in task.definitions}
    if all(name.removeprefix(BASELINE) == PLACEHOLDER for name in scores):
        unscored = bool(scores) or PLACEHOLDER in asked
        raise InputError(
            str(run.path), expected="at least one task with a score",
            got=f"placeholders, {PLACEHOLDER!r}" if unscored else list(run.tasks),
            hint="--predict_only answers and does not score, so there is nothing to compare"
            if unscored else "",
        )  # fmt: skip


def read_raw(path: Path) -> Any:
    """What a result file holds, as it stands there."""
    with reading("compare", expected="a JSON file", got=str(path)):
        return read_json(path)
