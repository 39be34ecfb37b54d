"""`--predict_only` writes 999 for every metric: nothing that could be compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.study.results.reading import read_run


@pytest.mark.parametrize("flags", [[], ["--metrics", "bypass"], ["--force"]])
def test_two_runs_without_scores(
    flags: list[str], unscored_run: Path, tmp_path: Path, capsys: Any
) -> None:
    other = tmp_path / "other"
    shutil.copytree(unscored_run, other)
    capsys.readouterr()
    assert main(["compare", str(unscored_run), str(other), *flags]) == 2
    told = capsys.readouterr()
    assert "999" not in told.out
    assert "expected at least one task with a score, got \"placeholders, 'bypass'\"" in told.err
    assert "--predict_only answers and does not score" in told.err


def test_one_of_them_without(unscored_run: Path, filtered_run: Path, capsys: Any) -> None:
    capsys.readouterr()
    assert main(["compare", str(filtered_run), str(unscored_run)]) == 2
    told = capsys.readouterr().err
    assert "placeholders, 'bypass'" in told
    assert str(unscored_run) in told


def test_placeholders_of_an_older_release(tmp_path: Path) -> None:
    """They are in the result file, where today's lm_eval leaves them out for some tasks."""
    values = {"bypass,none": 999, "bypass_stderr,none": "N/A", "baseline_bypass,none": 999}
    (tmp_path / "results_x.json").write_text(json.dumps({"results": {"own": values}}))
    with pytest.raises(InputError, match="nothing to compare"):
        read_run(tmp_path)
    assert set(read_run(tmp_path, scored=False).tasks) == {"own"}
