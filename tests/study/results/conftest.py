"""A real run of a task with two filters and of one whose single filter has a name of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sna_eval.cli import main

TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/items.jsonl, validation: {folder}/items.jsonl}}}}
output_type: loglikelihood
test_split: test
validation_split: validation
fewshot_split: validation
doc_to_text: "{{{{question}}}}"
doc_to_target: " {{{{answer}}}}"
filter_list: [{filters}]
process_results: !function sna_eval.harness.metrics.generation_results
metric_list:
  - {{metric: prob, aggregation: mean, higher_is_better: true}}
  - {{metric: baseline_prob, aggregation: mean, higher_is_better: true}}
"""
FILTERS = {"one_filter": ("first",), "two_filters": ("first", "again")}
ITEMS = 6
MODEL = "pretrained=sna-reference,layer=4,neurons=1;5;7,multiplier=6,gate=always"


@pytest.fixture(scope="session")
def filtered_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tasks."""
    folder = tmp_path_factory.mktemp("filtered")
    words = ["red", "cold", "three", "a song"]
    rows = [{"question": f"The {n} of us say", "answer": words[n % 4]} for n in range(ITEMS)]
    (folder / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name, filters in FILTERS.items():
        named = ", ".join(f"{{name: {one}, filter: [{{function: take_first}}]}}" for one in filters)
        text = TASK.format(name=name, folder=folder, filters=named)
        (folder / f"{name}.yaml").write_text(text)
    return folder


def evaluate(folder: Path, output: Path, *flags: str) -> None:
    """`sna-eval run` on both tasks."""
    arguments = [
        "--model_args", MODEL, "--tasks", ",".join(FILTERS), "--include_path", str(folder),
        "--output_path", str(output), "--log_samples", "--batch_size", "8", *flags,
    ]  # fmt: skip
    assert main(["run", *arguments]) == 0


@pytest.fixture(scope="session")
def filtered_run(filtered_tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The name given as `--output_path`, which lm_eval puts a date to."""
    output = tmp_path_factory.mktemp("run") / "mine.json"
    evaluate(filtered_tasks, output)
    return output


@pytest.fixture(scope="session")
def unscored_run(filtered_tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with `--predict_only`."""
    output = tmp_path_factory.mktemp("unscored")
    evaluate(filtered_tasks, output, "--predict_only")
    return output
