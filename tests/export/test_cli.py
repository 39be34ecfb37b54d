"""`sna-eval export` and `sna-eval import`, as typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sna_eval.cli import main
from sna_eval.plan import load_plan
from tests.export.conftest import PLAN, TASK


@pytest.fixture
def command(model_folder: Any, plan_file: Path, tmp_path: Path) -> list[str]:
    return [
        "export", "--plan", str(plan_file), "--task", TASK, "--output", str(tmp_path / "out"),
        "--model_args", f"pretrained={model_folder('gpt2')},dtype=float32,device=cpu",
    ]  # fmt: skip


def test_export_then_import(command: list[str], tmp_path: Path, capsys: Any) -> None:
    assert main([*command, "--format", "ia3"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "transformer.h.1.mlp.c_proj: 4 neurons x 2.5, 1.7, 4.25"
    assert said[-1].endswith("ungated")
    back = tmp_path / "back.yaml"
    assert main(["import", str(tmp_path / "out"), "--output", str(back)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{TASK}: layer 1, x2.5, 3 neurons"
    assert load_plan(back).tasks[TASK] == PLAN


def test_unresolved_plans_are_resolved(command: list[str], tmp_path: Path, plan_file: Path) -> None:
    plan_file.write_text(
        "version: 1\ntasks:\n  'sna_*':\n    interventions:\n"
        "      - {layer: 2, multiplier: 2.0, select: {top_k: 3}}\n"
    )
    assert main([*command, "--format", "ia3"]) == 0
    assert main(["import", f"{tmp_path}/out", "--output", f"{tmp_path}/back.yaml"]) == 0
    (entry,) = load_plan(tmp_path / "back.yaml").tasks[TASK].interventions
    assert entry.found is not None
    assert len((entry.neurons or {})[""]) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--task", "hellaswag"], f"task: expected a task that the plan has an entry for ({TASK})"),
        (["--plan", "nowhere.yaml"], "plan: expected a file, or one of"),
        (["--output", "/dev/null"], "output: expected a folder that is new or empty"),
    ],
)
def test_bad_input_is_one_line(
    command: list[str], changes: list[str], message: str, capsys: Any
) -> None:
    assert main([*command, "--format", "ia3", *changes]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]


def test_a_group_is_no_task(command: list[str], plan_file: Path, capsys: Any) -> None:
    plan_file.write_text(
        "version: 1\ntasks:\n  'sna_*':\n    interventions:\n"
        "      - {layer: 2, multiplier: 2.0, select: {top_k: 3}}\n"
    )
    assert main([*command, "--format", "ia3", "--task", "sna_generation"]) == 2
    assert "task: expected one task, not a group or glob" in capsys.readouterr().err


def test_a_bad_adapter_is_one_line(tmp_path: Path, capsys: Any) -> None:
    assert main(["import", str(tmp_path), "--output", str(tmp_path / "plan.yaml")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("sna-eval: error: ")
    assert "adapter_config.json: expected a JSON file" in said[0]


@pytest.mark.parametrize("name", ["delta", "subfolder"])
def test_an_adapter_names_its_base_and_no_more(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its config said another model than the one whose weights were taken."""
    words = ["export", "--model_args", f"pretrained=sna-reference,{name}=x", "--task", "t"]
    words += ["--plan", "sna-reference", "--output", str(tmp_path / "out"), "--format", "lora"]
    assert main(words) == 2
    assert f"model_args.{name}: expected a model by name alone" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
