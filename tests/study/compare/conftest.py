"""Runs of real lm_eval on a tiny model, written to disk as its command line writes them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval.files import tasks_path
from tests.conftest import build_model

OWN_TASKS = {
    "own_choices": """
task: own_choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/items.jsonl, validation: {folder}/items.jsonl}}}}
output_type: multiple_choice
test_split: test
fewshot_split: validation
doc_to_text: "{{{{text}}}} and"
doc_to_choice: ["the", "so", "no", "away"]
doc_to_target: label
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
metadata: {{version: 2.0}}
""",
    "own_rolling": """
task: own_rolling
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/items.jsonl}}}}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: word_perplexity}}, {{metric: bits_per_byte}}]
metadata: {{version: 1.0}}
""",
    "own_group": """
group: own_group
task: [sna_math_easy, sna_coding_hard, sna_logic_easy]
aggregate_metric_list:
  - {{metric: prob, weight_by_size: false}}
  - {{metric: baseline_prob, weight_by_size: false}}
metadata: {{version: 1.0}}
""",
}
MUSR = {"murder_mysteries": 2, "object_placements": 5, "team_allocation": 3}
MUSR_TASK = """
task: leaderboard_musr_{name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/items.jsonl}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{name}: {{{{text}}}} and"
doc_to_choice: {choices}
doc_to_target: 0
metric_list: [{{metric: acc_norm, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1.0}}
"""
MUSR_GROUP = """
group: leaderboard_musr
task: [leaderboard_musr_murder_mysteries, leaderboard_musr_object_placements,
       leaderboard_musr_team_allocation]
aggregate_metric_list: [{metric: acc_norm, aggregation: mean, weight_by_size: true}]
metadata: {version: 1.0}
"""
"""A group of the Open LLM Leaderboard by its real name, on local documents."""
TASKS = ["own_choices", "own_rolling", "own_group"]
EVERY_OTHER = ";".join(map(str, range(0, 128, 2)))
SNA = {"layer": 3, "neurons": EVERY_OTHER, "multiplier": 60.0, "gate": "always"}

Evaluate = Callable[..., Path]


@pytest.fixture(scope="session")
def task_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's tasks: 41 documents, two of them alike, with four choices and as running text."""
    folder = tmp_path_factory.mktemp("compare-tasks")
    words = ["the", "cat", "sat", "on", "a", "mat", "while", "rain", "fell", "over", "town"]
    rows = [
        {"text": " ".join(words[(7 * n + 3 * k) % 11] for k in range(3 + n % 4)), "label": n % 4}
        for n in range(40)
    ]
    (folder / "items.jsonl").write_text("\n".join(json.dumps(row) for row in [*rows, rows[0]]))
    for name, text in OWN_TASKS.items():
        (folder / f"{name}.yaml").write_text(text.format(folder=folder))
    for name, count in MUSR.items():
        choices = json.dumps(["the", "so", "no", "away", "on"][:count])
        text = MUSR_TASK.format(name=name, folder=folder, choices=choices)
        (folder / f"musr_{name}.yaml").write_text(text)
    (folder / "musr.yaml").write_text(MUSR_GROUP)
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Any) -> Path:
    folder = tmp_path_factory.mktemp("compare-model") / "tiny"
    build_model("gpt2", n_positions=256, vocab_size=len(word_tokenizer)).save_pretrained(folder)
    word_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def evaluate(
    tmp_path_factory: pytest.TempPathFactory, task_folder: Path, model_folder: Path
) -> Evaluate:
    """Runs lm_eval and returns its output folder."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    from sna_eval.harness.plugin.registration import register

    register()
    manager = TaskManager(include_path=[tasks_path(), task_folder], include_defaults=False)

    def call(
        model: str = "hf",
        arguments: dict[str, Any] | None = None,
        *,
        tasks: list[str] | None = None,
        limit: int | None = 45,
        shots: int | None = None,
        batch_size: int = 8,
        samples: bool = True,
    ) -> Path:
        output = tmp_path_factory.mktemp("output")
        tracker = EvaluationTracker(output_path=str(output))
        results = simple_evaluate(
            model=model,
            model_args={"pretrained": str(model_folder), "device": "cpu", **(arguments or {})},
            tasks=tasks or TASKS,
            task_manager=manager,
            num_fewshot=shots,
            batch_size=batch_size,
            limit=limit,
            log_samples=True,
            bootstrap_iters=10,
            evaluation_tracker=tracker,
        )
        logged = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=logged)
        for task in results["configs"]:
            if samples:
                tracker.save_results_samples(task_name=task, samples=logged[task])
        return output

    return call


@pytest.fixture(scope="session")
def plain_run(evaluate: Evaluate) -> Path:
    return evaluate()


@pytest.fixture(scope="session")
def amplified_run(evaluate: Evaluate) -> Path:
    return evaluate("sna", SNA)


@pytest.fixture(scope="session")
def plain_results(plain_run: Path) -> dict[str, Any]:
    """Content of the plain run's result file."""
    (path,) = plain_run.rglob("results_*.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a run whose result file and samples went through a change."""

    def edit(
        run: Path,
        change: Callable[[dict[str, Any]], None] | None = None,
        change_sample: Callable[[str, dict[str, Any]], None] | None = None,
    ) -> Path:
        copy = tmp_path / f"copy{len(list(tmp_path.iterdir()))}"
        shutil.copytree(run, copy)
        (path,) = copy.rglob("results_*.json")
        content = json.loads(path.read_text())
        if change is not None:
            change(content)
        path.write_text(json.dumps(content))
        for file in copy.rglob("samples_*.jsonl") if change_sample else ():
            samples = [json.loads(line) for line in file.read_text().splitlines()]
            for sample in samples:
                change_sample(file.name, sample)
            file.write_text("\n".join(json.dumps(sample) for sample in samples))
        return copy

    return edit
