"""From a path to a run, whichever format the file has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sna_eval.bounded import read_json
from sna_eval.errors import InputError, reading
from sna_eval.study.results.formats import before_0_4, leaderboard_row, lm_eval
from sna_eval.study.results.locating import result_file
from sna_eval.study.results.records import Run


def read_run(path: str | Path) -> Run:
    """The run at a path: a result file, a folder of lm_eval's, or a leaderboard's row.

    **Raises:** `InputError` where nothing there can be read as a run.
    """
    file = result_file(path)
    raw = read_raw(file)
    if isinstance(raw, list) and len(raw) == 1:
        raw = raw[0]
    if leaderboard_row.is_row(raw):
        return _parsed(leaderboard_row.parse, raw, file)
    results = raw.get("results") if isinstance(raw, dict) else None
    if not isinstance(results, dict) or not results:
        raise InputError(
            str(file), expected="`results` by task, or one row of the Open LLM Leaderboard",
            got=sorted(raw) if isinstance(raw, dict) else raw,
            hint="name the results_*.json that lm_eval wrote",
        )  # fmt: skip
    entries = [values for values in results.values() if isinstance(values, dict)]
    todays = any("," in key for values in entries for key in values)
    run = _parsed((lm_eval if todays else before_0_4).parse, raw, file)
    if not any(record.scores for record in run.tasks.values()):
        raise InputError(str(file), expected="at least one task with a score", got=list(results))
    return run


def _parsed(parse: Callable[[Any, Path], Run], raw: Any, file: Path) -> Run:
    """A run; any part of a file may be something else than it should."""
    with reading(
        str(file), expected="a result file as lm_eval writes it", got=file.name,
        hint="name the results_*.json that lm_eval wrote",
    ):  # fmt: skip
        return parse(raw, file)


def read_raw(path: Path) -> Any:
    """What a result file holds, as it stands there."""
    with reading("compare", expected="a JSON file", got=str(path)):
        return read_json(path)
