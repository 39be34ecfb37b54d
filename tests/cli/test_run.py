"""`sna-eval run` is `lm_eval run`: flags, and what a config file says, mean the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sna_eval.cli import main
from sna_eval.files import reference_model_path

TASK = """
task: mine
dataset_path: json
dataset_kwargs: {data_files: {test: ITEMS}}
test_split: test
output_type: loglikelihood
doc_to_text: "{{prompt}}"
doc_to_target: "{{target}}"
metric_list: [{metric: acc}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a task of one's own."""
    items = tmp_path / "items.jsonl"
    items.write_text('{"prompt": "The sky is", "target": " blue"}\n')
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.yaml").write_text(TASK.replace("ITEMS", str(items)))
    return tmp_path


def run(folder: Path, config: dict[str, Any], *flags: str) -> dict[str, Any]:
    """The result file of a run by config."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    output = ["--output_path", str(folder / "out.json"), "--limit", "2"]
    assert main(["run", "--config", str(folder / "config.yaml"), *output, *flags]) == 0
    (results,) = folder.glob("out_*.json")
    found: dict[str, Any] = json.loads(results.read_text())
    return found


def test_a_config_keeps_its_model_and_its_folder_of_tasks(folder: Path) -> None:
    found = run(
        folder,
        {
            "model": "hf",
            "model_args": {"pretrained": str(reference_model_path())},
            "device": "cpu",
            "tasks": ["mine", "sna_math_easy"],
            "include_path": str(folder / "tasks"),
        },
    )
    assert found["config"]["model"] == "hf"
    assert set(found["results"]) == {"mine", "sna_math_easy"}


def test_flags_count_more_than_a_config(folder: Path) -> None:
    config = {"model": "hf", "tasks": ["mine"], "include_path": str(folder / "nowhere")}
    flags = ["--model", "sna", "--model_args", "gate=never"]
    found = run(folder, config, *flags, "--include_path", str(folder / "tasks"))
    assert found["config"]["model"] == "sna"
    assert set(found["results"]) == {"mine"}


def test_without_a_model_it_is_sna(folder: Path) -> None:
    config = {"model_args": {"gate": "never"}, "tasks": ["sna_math_easy"]}
    assert run(folder, config)["config"]["model"] == "sna"


def test_a_config_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", "no.yaml"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("sna-eval: error: config: expected a YAML file of arguments")
