"""The commands: what they print, and bad input in one line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cli import main, parser
from sna_eval.cli.verdict import _executor
from sna_eval.study.verdict import RayDraws, local_executor


@pytest.fixture
def registered(
    checkpoint: Path,
    own_tasks: Path,
    tmp_path: Path,
    no_cache: None,
    capsys: pytest.CaptureFixture[str],  # so that a test reads what was said here
) -> Path:
    """A placebo's registration."""
    path = tmp_path / "reg.yaml"
    done = main([
        "register", "--model_args", f"pretrained={checkpoint}", "--tasks", "own_open",
        "--include_path", str(own_tasks), "--neurons", "2,5", "--multipliers", "1.5,3",
        "--draws", "3", "--measured", "2", "--select", "random", "--seed", "7",
        "--output", str(path),
    ])  # fmt: skip
    assert done == 0
    return path


def test_a_placebo_from_registration_to_verdict(
    registered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = capsys.readouterr().out
    assert "own_open: 6 test items with" in said
    assert "3 draws allow no p-value of 0.05 over 1 task" in said
    output = tmp_path / "out"
    assert main(["verdict", str(registered), "--output", str(output)]) == 0
    assert "own_open: " in capsys.readouterr().out
    content = json.loads((output / "verdict.json").read_text())
    assert content["own_open"]["H4"] == {
        "estimate": None, "interval": [None, None], "p": 1.0, "draws": 0,
        "verdict": "undecided at this n",
    }  # fmt: skip
    assert (output / "index.html").is_file()
    again = tmp_path / "again"
    assert main(["verdict", str(registered), "--output", str(again)]) == 0
    assert "test items were opened on" in capsys.readouterr().out
    assert (again / "verdict.json").read_bytes() == (output / "verdict.json").read_bytes()
    assert "opened 2 times" in (again / "index.html").read_text()


def test_a_changed_registration_ends_in_one_line(
    registered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registered.write_text(registered.read_text().replace("claim_seed: 7", "claim_seed: 8"))
    capsys.readouterr()
    assert main(["verdict", str(registered), "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "it was changed after it was written" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", [("sweep",), ("verdict", "reg.yaml")])
def test_rays_flags_are_those_of_a_sweep(command: tuple[str, ...]) -> None:
    """Spelt and read alike, with the same words beside them."""
    given = ["--executor", "ray", "--ray_address", "auto", "--ray_cpus", "2", "--ray_gpus", ".5"]
    typed = [*command, "--output", "out"]
    args = vars(parser()[0].parse_args([*typed, *given]))
    names = ("executor", "ray_address", "ray_cpus", "ray_gpus")
    assert [args[name] for name in names] == ["ray", "auto", 2, 0.5]
    default = vars(parser()[0].parse_args(typed))
    assert [default[name] for name in names] == ["local", None, 1, 0]


def test_where_a_verdict_computes() -> None:
    pytest.importorskip("ray")
    typed = ["verdict", "reg.yaml", "--output", "out"]
    given = ["--executor", "ray", "--ray_address", "auto", "--ray_cpus", "2", "--ray_gpus", "1"]
    assert _executor(parser()[0].parse_args([*typed, *given])) == RayDraws("auto", 2, 1)
    assert _executor(parser()[0].parse_args(typed)) is local_executor


def test_a_verdict_by_ray_without_it(
    registered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Said before anything is loaded, let alone opened."""
    found = importlib.util.find_spec

    def without_ray(name: str, *more: Any) -> Any:
        return None if name == "ray" else found(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", without_ray)
    capsys.readouterr()
    output = tmp_path / "out"
    typed = ["verdict", str(registered), "--output", str(output), "--executor", "ray"]
    assert main(typed) == 2
    said = capsys.readouterr().err
    assert "executor: expected `ray` to be installed" in said
    assert said.count("\n") == 1
    assert not output.exists()
    assert not registered.with_suffix(".opened.jsonl").exists()


def test_executors_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["verdict", "reg.yaml", "--output", "out", "--executor", "cloud"])
    assert "invalid choice: 'cloud'" in capsys.readouterr().err


def test_repetitions_are_at_least_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["selfcheck", "--repetitions", "0", "--output", str(tmp_path)]
    assert main(typed) == 2
    assert "repetitions: expected at least 1" in capsys.readouterr().err
