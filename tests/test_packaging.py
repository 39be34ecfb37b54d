"""The built wheel in an environment of its own, used from a folder outside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAIN_METRICS = {
    "prob", "baseline_prob", "delta_prob", "improvement_pct", "acc", "baseline_acc",
    "amplified_fraction",
}  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def outside(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; everything else is seen through a path file."""
    folder = tmp_path_factory.mktemp("outside")
    venv.create(folder / "env")
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(folder / "env" / "bin" / "python")]
    subprocess.run(
        [*install, "install", "--no-deps", "--no-index", str(wheel)],
        check=True,
        capture_output=True,
    )
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    python = str(folder / "env" / "bin" / "python")
    return subprocess.run(
        [python, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=500
    )


def test_wheel_holds_tasks_plans_model_and_start_up(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "sna_eval.pth",
        "sna_eval_startup.py",
        "sna_eval/task_configs/sna_all.yaml",
        "sna_eval/task_configs/data/sna_math_easy/test.jsonl",
        "sna_eval/plans/sna-reference.yaml",
        "sna_eval/reference/model.safetensors",
        "sna_eval/data/neutral.txt",
        "sna_eval/paper/rules.py",
    } <= names
    assert not [name for name in names if name.startswith("tests")]


def test_lm_eval_outside_the_checkout(outside: Path) -> None:
    tasks_path = run(outside, "-m", "sna_eval.cli", "tasks-path")
    folder = Path(tasks_path.stdout.strip())
    assert folder.is_relative_to(outside), tasks_path.stderr
    done = run(
        outside, "-m", "lm_eval", "--model", "sna",
        "--model_args", "pretrained=sna-reference,plan=sna-reference",
        "--tasks", "sna_math_hard", "--include_path", str(folder), "--limit", "4",
        "--batch_size", "4", "--output_path", "out", "--log_samples",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (results_file,) = (outside / "out").rglob("results_*.json")
    results = json.loads(results_file.read_text())
    metrics = {name.split(",")[0] for name in results["results"]["sna_math_hard"]}
    assert metrics >= MAIN_METRICS
    described = results["config"]["sna"]
    assert described["plan_fingerprint"]
    assert described["tasks"]["sna_math_hard"]["interventions"][0]["neurons"]
    (samples_file,) = (outside / "out").rglob("samples_*.jsonl")
    for line in samples_file.read_text().splitlines():
        sample = json.loads(line)
        assert sample["zone"] in (1, 2, 3)
        assert sample["decision"] in (0, 1)
        assert 0 <= sample["confidence"] <= 1
