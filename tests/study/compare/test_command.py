"""`sna-eval compare` as typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cli import main

QUICK = ["--draws", "200", "--tasks", "own_choices,sna_math_easy"]


def run(*arguments: Any) -> int:
    return main(["compare", *map(str, arguments)])


def test_hf_against_sna(plain_run: Path, amplified_run: Path, capsys: Any) -> None:
    assert run(plain_run, amplified_run, *QUICK) == 0
    out = capsys.readouterr().out
    assert "own_choices" in out
    assert "McNemar" in out
    assert "clusters" in out
    assert "log-odds" in out


def test_one_sna_run(amplified_run: Path, capsys: Any) -> None:
    assert run(amplified_run, "--draws", 200, "--tasks", "sna_math_easy") == 0
    assert ", baseline (" in capsys.readouterr().out


def test_one_run_fails_where_any_task_of_it_gains_too_little(
    amplified_run: Path, capsys: Any
) -> None:
    """Of a task whose metrics are its own; fewer bits per byte are better."""
    (file,) = amplified_run.rglob("results_*.json")
    scores = json.loads(file.read_text())["results"]["own_rolling"]
    gain = scores["baseline_bits_per_byte,none"] - scores["bits_per_byte,none"]
    assert abs(gain) > 1e-3
    one = [amplified_run, "--draws", 200, "--tasks", "own_rolling", "--metrics", "bits_per_byte"]
    assert run(*one, "--fail_below", gain - 1e-4) == 0
    assert run(*one, "--fail_below", gain + 1e-4) == 1
    assert ": own_rolling bits_per_byte, " in capsys.readouterr().err


def test_names_may_have_spaces_between_them(
    plain_run: Path, amplified_run: Path, capsys: Any
) -> None:
    spaced = ["--draws", "100", "--tasks", " own_choices , sna_math_easy,", "--format", "json"]
    assert run(plain_run, amplified_run, *spaced, "--metrics", "acc, prob") == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    rows = [(row["task"], row["metric"]) for row in found["rows"]]
    assert ("own_choices", "acc") in rows
    assert {task for task, _ in rows} == {"own_choices", "sna_math_easy"}


def test_several_runs(plain_run: Path, amplified_run: Path, capsys: Any) -> None:
    assert run(plain_run, amplified_run, plain_run, *QUICK, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)["comparisons"]
    assert [one["b"]["kind"] for one in found] == ["sna", "hf"]
    assert all(row["p"] == 1 for row in found[1]["rows"])


def test_real_old_files(shared_data: Path, capsys: Any) -> None:
    files = [shared_data / "leaderboard" / f"pythia-70m-step143000-{n}shot.json" for n in (0, 5)]
    assert run(files[0], files[0]) == 0
    assert "unpaired z" in capsys.readouterr().out
    assert run(*files) == 2
    error = capsys.readouterr().err
    assert "shots: 0 against 5 (65 tasks:" in error
    assert "sna-eval: error: compare: expected runs with the same prompts" in error
    assert "65 of 65 tasks differ; --force" in error
    assert "Traceback" not in error
    assert run(*files, "--force") == 0
    assert "NOT COMPARABLE, forced" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["json", "csv", "md"])
def test_output_by_suffix(
    suffix: str, plain_run: Path, amplified_run: Path, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "new" / f"result.{suffix}"
    assert run(plain_run, amplified_run, *QUICK, "--output", path) == 0
    assert capsys.readouterr().out.strip() == str(path)
    text = path.read_text()
    if suffix == "json":
        assert json.loads(text)["comparisons"]
    elif suffix == "csv":
        assert next(csv.DictReader(text.splitlines()))["task"] == "own_choices"
    else:
        assert "|own_choices" in text.replace(" ", "")


@pytest.mark.parametrize(
    ("limit", "by", "status"),
    [(-0.9, "estimate", 0), (0.9, "estimate", 1), (0.0, "high", 0), (0.5, "low", 1)],
)
def test_fail_below(
    limit: float, by: str, status: int, plain_run: Path, amplified_run: Path, capsys: Any
) -> None:
    chosen = ["--draws", "200", "--tasks", "sna_logic_easy", "--metrics", "acc"]
    found = run(plain_run, amplified_run, *chosen, "--fail-below", limit, "--fail-by", by)
    assert found == status
    assert (f"below {limit:g}: sna_logic_easy acc" in capsys.readouterr().err) == (status == 1)


def test_fail_below_where_less_is_better(plain_run: Path, amplified_run: Path) -> None:
    """The estimate of a perplexity that rose is a loss, whichever way the run went."""
    chosen = ["--draws", "200", "--tasks", "own_rolling", "--metrics", "word_perplexity"]
    there = run(plain_run, amplified_run, *chosen, "--fail-below", "0")
    back = run(amplified_run, plain_run, *chosen, "--fail-below", "0")
    assert {there, back} == {0, 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "compare: expected a result file or a folder of lm_eval's, got 'nowhere'"),
        (["A", "A", "--output", "x.pdf"], "--output: expected a name that ends in .json"),
        (["A", "A", "--output", "/dev/null/x.json"], "--output: expected a path that can be"),
        (["A", "A", "--tasks", "nothing"], "tasks: expected one of own_choices"),
        (["A", "A", "--confidence", "2"], "confidence: expected a number between 0 and 1"),
        (["A"], "expected an `sna` run of tasks with baseline metrics"),
    ],
)
def test_bad_input(arguments: list[str], message: str, plain_run: Path, capsys: Any) -> None:
    given = [str(plain_run) if argument == "A" else argument for argument in arguments]
    assert run(*given, "--draws", "200") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
