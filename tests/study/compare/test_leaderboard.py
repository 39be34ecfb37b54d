"""A run of the leaderboard's tasks beside a published row, and beside published samples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cli import main
from sna_eval.study.compare import MetricName, NotComparable, Options, compare, read_run

ROW = {"fullname": "org/published", "Precision": "bfloat16", "MUSR Raw": 0.42, "MUSR": 11.5}
QUICK = Options(draws=200)


@pytest.fixture(scope="module")
def musr_run(evaluate: Any) -> Path:
    run: Path = evaluate(tasks=["leaderboard_musr"], limit=None)
    return run


@pytest.fixture
def row_file(tmp_path: Path) -> Path:
    path = tmp_path / "row.json"
    path.write_text(json.dumps(ROW))
    return path


def test_beside_a_published_row(musr_run: Path, row_file: Path) -> None:
    comparison = compare(read_run(row_file), read_run(musr_run), QUICK)
    found = {row.metric.metric: row for row in comparison.rows}
    assert set(found) == {"acc_norm", "normalized"}
    assert {row.task for row in comparison.rows} == {"leaderboard_musr"}
    assert all(row.effect.test == "unpaired z" for row in comparison.rows)
    (path,) = musr_run.rglob("results_*.json")
    results = json.loads(path.read_text())["results"]
    guessing = {"murder_mysteries": 1 / 2, "object_placements": 1 / 5, "team_allocation": 1 / 3}
    scaled = [
        max(0.0, (results[f"leaderboard_musr_{name}"]["acc_norm,none"] - low) / (1 - low)) * 100
        for name, low in guessing.items()
    ]
    assert found["normalized"].effect.after == pytest.approx(sum(scaled) / 3)
    assert found["normalized"].effect.before == 11.5
    assert found["acc_norm"].effect.after == results["leaderboard_musr"]["acc_norm,none"]


def test_raw_beside_rescaled_is_refused(musr_run: Path, tmp_path: Path, edited: Any) -> None:
    """Only the rescaled score published, only the raw one measured: one subtask is missing."""
    path = tmp_path / "row.json"
    path.write_text(json.dumps({"fullname": "org/published", "MUSR": 11.5}))

    def without_a_subtask(content: dict[str, Any]) -> None:
        del content["results"]["leaderboard_musr_team_allocation"]

    run = read_run(edited(musr_run, without_a_subtask))
    with pytest.raises(NotComparable, match="normalization: normalized against acc_norm"):
        compare(read_run(path), run, QUICK)


def test_a_limited_run_is_no_leaderboard_result(
    row_file: Path, musr_run: Path, evaluate: Any
) -> None:
    limited = read_run(evaluate(tasks=["leaderboard_musr"], limit=5))
    with pytest.raises(NotComparable, match="limit: none against 15 of 123 documents"):
        compare(read_run(row_file), limited, QUICK)


def test_beside_published_samples(musr_run: Path, tmp_path: Path) -> None:
    """The leaderboard's data sets of details hold the samples, as `.json`: pairs are tested."""
    published = tmp_path / "published"
    shutil.copytree(musr_run, published)
    for path in published.rglob("samples_*.jsonl"):
        path.rename(path.with_suffix(".json"))
    comparison = compare(read_run(published), read_run(musr_run), QUICK)
    tests = {(row.task, row.metric): row.effect.test for row in comparison.rows}
    assert tests["leaderboard_musr", MetricName("acc_norm")] == "McNemar"
    assert tests["leaderboard_musr", MetricName("normalized")] == "unpaired z"


def test_the_command_of_the_documentation(row_file: Path, musr_run: Path, capsys: Any) -> None:
    assert main(["compare", str(row_file), str(musr_run), "--draws", "200"]) == 0
    out = capsys.readouterr().out
    assert "A: published org/published (row.json)" in out
    assert "normalized" in out
