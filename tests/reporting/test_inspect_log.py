"""A run's logs, read back by inspect_ai itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cli import main
from sna_eval.errors import InputError
from tests.reporting.runs import small_run


def test_without_inspect_ai(monkeypatch: Any, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    monkeypatch.delitem(sys.modules, "sna_eval.reporting.inspect_log", raising=False)
    assert main(["log", str(small_run(tmp_path)), "--output", str(tmp_path / "logs")]) == 2
    assert "log: expected inspect_ai, got None; pip install 'sna-eval[inspect]'" in (
        capsys.readouterr().err
    )


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """As inspect_ai reads them, by task."""
    log = pytest.importorskip("inspect_ai.log")
    folder = tmp_path_factory.mktemp("logs")
    run = small_run(folder / "run")
    assert main(["log", str(run), "--output", str(folder / "logs")]) == 0
    read = [
        log.read_eval_log(list_eval_log)
        for list_eval_log in log.list_eval_logs(str(folder / "logs"))
    ]
    return {one.eval.task: one for one in read}


def test_every_task_and_filter_has_a_log(logs: dict[str, Any]) -> None:
    assert set(logs) == {"colours", "sums (strict-match)", "sums (last-word)", "words"}
    entry = logs["colours"]
    assert entry.status == "success"
    assert entry.eval.model == "<b>tiny</b>"
    assert entry.eval.created.startswith("2026-01-01T00:00:00")
    assert entry.eval.metadata["plan_fingerprint"] == "12ab"
    (score,) = entry.results.scores
    assert (score.name, score.metrics["value"].value) == ("acc", pytest.approx(2 / 3))


def test_choices(logs: dict[str, Any]) -> None:
    flipped = logs["colours"].samples[1]
    assert flipped.choices == [" red", " blue", " green"]
    assert (flipped.target, flipped.output.completion) == (" blue", " blue")
    assert flipped.metadata["unmodified"] == " red"
    assert flipped.metadata["log_likelihoods"][0] == [" red", -1.0, -4.0]
    values = {name: score.value for name, score in flipped.scores.items()}
    assert values == {"acc": 1, "baseline_acc": 0, "zone": 1, "confidence": pytest.approx(0.1),
                      "amplified": 1, "flip": "wrong to right"}  # fmt: skip
    flips = [sample.scores["flip"].value for sample in logs["colours"].samples]
    assert flips == ["none", "wrong to right", "right to wrong"]


def test_generated_texts(logs: dict[str, Any]) -> None:
    first = logs["sums (strict-match)"].samples[0]
    assert first.input == "Question 0"
    assert first.output.completion == "one plus one make 2"
    assert first.messages[-1].text == "one plus one make 2"
    assert first.metadata["unmodified"] == "one and one make 3"
    assert first.scores["baseline_exact_match"].answer == "one and one make 3"
    (turned,) = (sample.scores["flip"].value for sample in logs["sums (last-word)"].samples)
    assert turned == "right to wrong"


def test_continuations(logs: dict[str, Any]) -> None:
    first, second = logs["words"].samples
    assert first.output.completion == "log-likelihood -2 of ' tail'"
    assert first.metadata["unmodified"] == "log-likelihood -3 of ' tail'"
    assert first.scores["prob"].value > first.scores["baseline_prob"].value
    assert second.scores["flip"].value == "none"


def test_refusals(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    from sna_eval.reporting.inspect_log import write_logs

    run = small_run(tmp_path / "run")
    with pytest.raises(InputError, match="tasks: expected one of colours, sums, words"):
        write_logs(run, tmp_path / "logs", tasks=["colors"])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="--output: expected a path that can be written"):
        write_logs(run, tmp_path / "file")


def test_inspect_ai_lists_them(tmp_path: Path) -> None:
    """Its own command finds the logs in the folder."""
    pytest.importorskip("inspect_ai")
    run = small_run(tmp_path / "run")
    assert main(["log", str(run), "--output", str(tmp_path / "logs"), "--tasks", "words"]) == 0
    done = subprocess.run(
        [sys.executable, "-m", "inspect_ai", "log", "list", "--json", "--log-dir",
         str(tmp_path / "logs")],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "words" in done.stdout
