"""Formats of result files: each takes its own, and a new one is a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.study.results import formats
from sna_eval.study.results.reading import read_run, result_formats
from sna_eval.study.results.records import MetricName
from tests.hostile.loaders.runs import OLD_RESULTS, RESULTS, ROW

NEW = """
from pathlib import Path

from sna_eval.study.results.records import MetricName, Reported, Run, TaskRecord

HOLDS = "a list of scores"


def handles(raw):
    return isinstance(raw, dict) and "scores" in raw


def parse(raw, path: Path) -> Run:
    tasks = {name: TaskRecord(name, {MetricName("acc"): Reported(value)})
             for name, value in raw["scores"].items()}
    return Run(path=path, model="theirs", kind="theirs", tasks=tasks)
"""
UNSCORED = {"results": {"own": {"alias": "own"}}, "configs": {"own": {}}}


@pytest.mark.parametrize(
    ("raw", "name"),
    [(RESULTS, "lm_eval"), (UNSCORED, "lm_eval"), (OLD_RESULTS, "before_0_4"),
     (ROW, "leaderboard_row"), ({"results": {}}, None), ([], None), ({"results": 3}, None)],
)  # fmt: skip
def test_every_file_is_one_formats(raw: Any, name: str | None) -> None:
    found = [
        result_format.__name__.rpartition(".")[2]
        for result_format in result_formats()
        if result_format.handles(raw)
    ]
    assert found == ([] if name is None else [name])


@pytest.fixture
def another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One more file in the folder of formats."""
    folder = tmp_path / "formats"
    folder.mkdir()
    (folder / "theirs.py").write_text(NEW)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(folder)])
    result_formats.cache_clear()
    yield tmp_path / "scores.json"
    result_formats.cache_clear()
    sys.modules.pop(f"{formats.__name__}.theirs", None)


def test_a_file_is_all_that_a_new_format_needs(another: Path) -> None:
    another.write_text(json.dumps({"scores": {"own": 0.5}}))
    run = read_run(another)
    assert (run.model, run.tasks["own"].scores[MetricName("acc")].value) == ("theirs", 0.5)
    another.write_text("{}")
    with pytest.raises(InputError, match="Open LLM Leaderboard, or a list of scores, got"):
        read_run(another)
