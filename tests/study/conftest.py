"""A tiny checkpoint and a user's own tasks, for sweeps that really run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.study.sweep import Sweep, SweepOptions, SweepStore, run_sweep
from tests.conftest import VOCABULARY, build_model

TASKS = {
    "own_open": """
task: own_open
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: loglikelihood
test_split: test
validation_split: validation
fewshot_split: validation
doc_to_text: "{{{{text}}}}"
doc_to_target: " {{{{answer}}}}"
metric_list: [{{metric: perplexity}}]
""",
    "own_labels": """
task: own_labels
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: multiple_choice
test_split: test
validation_split: validation
fewshot_split: validation
doc_to_text: "{{{{text}}}} sounds"
doc_to_choice: ["dull and grey", "bright"]
doc_to_target: label
metric_list: [{{metric: acc}}]
""",
    "own_choices": """
task: own_choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: multiple_choice
test_split: test
validation_split: validation
fewshot_split: validation
doc_to_text: "{{{{text}}}} and then"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: gold
metric_list: [{{metric: acc}}]
""",
    "own_generated": """
task: own_generated
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: generate_until
test_split: test
validation_split: validation
doc_to_text: "{{{{text}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["."], max_gen_toks: 4}}
metric_list: [{{metric: exact_match}}]
""",
}
_WORDS = ["the", "cat", "sat", "on", "a", "mat", "while", "rain", "fell", "over", "town"]


def _documents(seed: int, count: int) -> list[dict[str, Any]]:
    """Texts and answers of different length."""
    return [
        {
            "text": " ".join(_WORDS[(seed + 3 * n + k * k) % 11] for k in range(2 + n % 4)),
            "answer": " ".join(_WORDS[(5 * n + k) % 11] for k in range(1 + n % 2)),
            "label": (n + seed) % 2,
            "choices": [_WORDS[n % 11], "the end", "so on and on"],
            "gold": n % 3,
        }
        for n in range(count)
    ]


@pytest.fixture(scope="session")
def own_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder of task YAMLs."""
    folder = tmp_path_factory.mktemp("own-tasks")
    for name, seed in (("test", 0), ("dev", 1)):
        lines = [json.dumps(row) for row in _documents(seed, 6)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(text.format(folder=folder))
    return folder


@pytest.fixture(scope="session")
def task_manager(own_tasks: Path) -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=own_tasks, include_defaults=False)


@pytest.fixture(scope="session")
def load(task_manager: Any) -> Callable[..., dict[str, Any]]:
    """The user's tasks by name."""
    return lambda *names: dict(task_manager.load(list(names))["tasks"])


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Any) -> Path:
    """A tiny GPT-2 of three layers on disk, for other processes to load."""
    folder = tmp_path_factory.mktemp("tiny")
    model = build_model("gpt2", n_layer=3, n_positions=128, vocab_size=VOCABULARY)
    model.save_pretrained(folder)
    word_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def lm(checkpoint: Path) -> Any:
    from sna_eval.harness.loading import load_lm

    return load_lm(f"pretrained={checkpoint}", gate="never")


SMALL: dict[str, Any] = {
    "n_neurons": (2, 5),
    "multipliers": (1.0, 1.5, 3.0),
    "tokens_per_pass": 200,
}
"""A grid of six configurations, in passes that hold a few rows."""


@pytest.fixture(scope="session")
def sweep_of(lm: Any, load: Callable[..., dict[str, Any]]) -> Callable[..., Sweep]:
    """A sweep of the user's tasks by the tiny model."""

    def make(*tasks: str, **options: Any) -> Sweep:
        return Sweep(SweepOptions(tasks=tasks, **{**SMALL, **options}), lm=lm, tasks=load(*tasks))

    return make


@pytest.fixture(scope="session")
def store(sweep_of: Callable[..., Sweep], tmp_path_factory: pytest.TempPathFactory) -> SweepStore:
    """A finished sweep of an open task, a labelled one, and one whose choices differ."""
    sweep = sweep_of(
        "own_open", "own_labels", "own_choices", layers=(0, 1, 2), multipliers=(1.5, 3.0)
    )
    return run_sweep(sweep, tmp_path_factory.mktemp("store"), quiet=True)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster on this machine with room for two workers."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else other work on the machine starves them
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()
    torch.set_num_threads(threads)
