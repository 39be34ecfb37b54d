"""`sna-eval sweep` as typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sna_eval.cli import main, parser
from sna_eval.study.sweep import SweepStore


def arguments(checkpoint: Path, own_tasks: Path, *further: str) -> list[str]:
    return [
        "sweep",
        *("--model_args", f"pretrained={checkpoint}"),
        *("--include_path", str(own_tasks), "--tasks", "own_open,own_labels"),
        *("--layers", "0-1", "--top_k", "2,4", "--multipliers", "2,4"),
        *further,
    ]


@pytest.fixture(autouse=True)
def known_tasks(task_manager: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves looking through all of lm_eval's own tasks."""
    monkeypatch.setattr("lm_eval.tasks.TaskManager", lambda **_: task_manager)


def test_sweeps_and_takes_up_again(
    checkpoint: Path, own_tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = arguments(checkpoint, own_tasks, "--output", str(tmp_path), "--limit", "3")
    assert main(typed) == 0
    printed = capsys.readouterr()
    assert f"{tmp_path}: 16 configurations of 2 tasks" in printed.out
    assert "Sweep: 100%" in printed.err
    assert "16/16" in printed.err
    store = SweepStore.load(tmp_path)
    assert set(store.items()["item"].to_pylist()) == {0, 1, 2}
    (tmp_path / "configurations" / "own_open" / "layer-001.parquet").unlink()
    assert main(typed) == 0
    assert "12/16" in capsys.readouterr().err
    assert SweepStore.load(tmp_path).pending() == []


def test_spread_takes_items_from_the_whole_split(
    checkpoint: Path, own_tasks: Path, tmp_path: Path
) -> None:
    """Of six items the middles of three pairs. Words may stand apart, as for lm_eval."""
    typed = ["sweep", "--model_args", f"pretrained={checkpoint}", "dtype=float32"]
    typed += ["--include_path", str(own_tasks), "--tasks", "own_open", "own_labels"]
    typed += ["--layers", "1", "--top_k", "2", "--multipliers", "2", "--output"]
    assert main([*typed, str(tmp_path / "all")]) == 0
    assert main([*typed, str(tmp_path / "some"), "--limit", "3", "--spread"]) == 0
    every, some = (SweepStore.load(tmp_path / name) for name in ("all", "some"))
    assert list(some.manifest["tasks"]) == ["own_open", "own_labels"]
    for task in some.manifest["tasks"]:
        before = every.table("items", tasks=[task]).column("baseline_prob").to_pylist()
        taken = some.table("items", tasks=[task]).column("baseline_prob").to_pylist()
        assert taken == pytest.approx([before[1], before[3], before[5]], rel=1e-6)


def test_a_gate_that_sees_no_answer(checkpoint: Path, own_tasks: Path, tmp_path: Path) -> None:
    typed = arguments(checkpoint, own_tasks, "--output", str(tmp_path), "--limit", "2")
    assert main([*typed, "--gate", "max_prob"]) == 0
    tasks = SweepStore.load(tmp_path).manifest["tasks"]
    gates = [(task["gate"]["signal"], task["gate"]["low"]) for task in tasks.values()]
    assert gates == [("max_prob", 0.3)] * 2


def test_a_folder_with_another_sweep_is_refused(
    checkpoint: Path, own_tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = arguments(checkpoint, own_tasks, "--output", str(tmp_path))
    assert main([*typed, "--limit", "1"]) == 0
    capsys.readouterr()
    assert main([*typed, "--limit", "2"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sna-eval")]
    (line,) = lines
    assert "output.limit: expected 1, as " in line


def test_the_flag_s_name_of_before_is_taken_and_the_new_one_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`neurons` holds indices wherever else it is typed."""
    read, _ = parser()
    old = read.parse_args(["sweep", "--neurons", "2,4"])
    assert capsys.readouterr().err == "sna-eval: note: --neurons is called --top_k now\n"
    new = read.parse_args(["sweep", "--top_k", "2,4"])
    assert vars(old) == vars(new)
    assert read.parse_args(["sweep"]).top_k is None
    assert capsys.readouterr().err == ""


def test_dry_run(
    checkpoint: Path,
    own_tasks: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sna_eval.study.sweep.cost._TRIAL_SECONDS", 0.05)
    assert main(arguments(checkpoint, own_tasks, "--dry_run")) == 0
    out = capsys.readouterr().out
    pattern = r"16 configurations, 96 rows, \d\.\d\de\+\d\d FLOPs, about \d+ s on this machine"
    assert re.search(pattern, out)


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ([], "output: expected a folder, got None; or add --dry_run"),
        (["--tasks", ",", "--dry_run"], "tasks: expected at least one name"),
        (["--split", "train", "--dry_run"], "split: expected one of development, test"),
        (["--gate", "nothing", "--dry_run"], "gate: expected one of"),
        (
            ["--gate", "max_prob", "--plan", "sna-reference", "--dry_run"],
            "gate: expected a signal, or --plan, not both, got 'max_prob and sna-reference'",
        ),
        (
            ["--model_args", "pretrained=x,plan=plan.yaml", "--dry_run"],
            "model_args.plan: expected no plan: a sweep measures a grid, got 'plan.yaml'; --layers",
        ),
        (["--model_args", "pretrained=x,layer=2", "--dry_run"], "model_args.layer: expected no"),
        (["--layers", "x", "--dry_run"], "layers: expected layers such as 0-7"),
        (["--layers", "9", "--dry_run"], "layers: expected a layer from 0 to 2"),
        (
            [
                "--directions",
                "gold",
                "--select",
                "contrastive",
                "--tasks",
                "own_labels",
                "--dry_run",
            ],
            "directions: expected `both`, `predicted` or a label, got 'gold'",
        ),
    ],
)
def test_bad_input_is_one_line(
    checkpoint: Path,
    own_tasks: Path,
    capsys: pytest.CaptureFixture[str],
    further: list[str],
    message: str,
) -> None:
    assert main(arguments(checkpoint, own_tasks, *further)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("sna-eval")]
    assert len(lines) == 1
    assert message in lines[0]
