"""Small real evaluations: tiny models, the bundled tasks, lm_eval's own evaluator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval.files import tasks_path
from tests.conftest import VOCABULARY, build_model

OWN_TASKS = {
    "own_rolling": """
task: own_rolling
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/texts.jsonl}}}}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: word_perplexity}}]
""",
    "own_generation": """
task: own_generation
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/texts.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: generate_until
test_split: test
validation_split: validation
fewshot_split: validation
doc_to_text: "{{{{text}}}}"
doc_to_target: "{{{{text}}}}"
generation_kwargs: {{until: ["zzz"], max_gen_toks: 8}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
""",
    "own_choices": """
task: own_choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/texts.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: multiple_choice
test_split: test
validation_split: validation
fewshot_split: validation
doc_to_text: "{{{{text}}}} and"
doc_to_choice: ["the end", "so on and on", "no", "a long way to go"]
doc_to_target: label
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
""",
}

OWN_TASKS["own_described"] = (
    OWN_TASKS["own_choices"].replace("task: own_choices", "task: own_described")
    + 'description: "Go on with the text in the way that reads best, and take care to be brief. "\n'
)
OWN_TASKS["own_choices_again"] = OWN_TASKS["own_choices"].replace(
    "task: own_choices", "task: own_choices_again"
)
OWN_TASKS["own_metrics"] = """
include: {bundled}/sna_math_easy.yaml
task: own_metrics
metric_list: [{{metric: improvement_pct}}, {{metric: delta_prob}}]
"""


def _texts(seed: int) -> list[dict[str, Any]]:
    words = ["the", "cat", "sat", "on", "a", "mat", "while", "rain", "fell", "over", "town"]
    count = 5
    return [
        {"text": " ".join(words[(seed + 3 * n + k) % 11] for k in range(4 + 2 * n)), "label": n % 4}
        for n in range(count)
    ]


@pytest.fixture(scope="session")
def own_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder of tasks: rolling, generated, and choices of several tokens."""
    folder = tmp_path_factory.mktemp("own-tasks")
    for name, seed in (("texts", 0), ("dev", 5)):
        lines = [json.dumps(row) for row in _texts(seed)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    for name, text in OWN_TASKS.items():
        (folder / f"{name}.yaml").write_text(text.format(folder=folder, bundled=tasks_path()))
    return folder


Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def evaluate(own_tasks: Path) -> Evaluate:
    """lm_eval's evaluator on tasks by name; returns its results with samples."""
    from lm_eval.evaluator import evaluate as run
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=[tasks_path(), own_tasks], include_defaults=False)

    def call(lm: Any, tasks: list[str], *, limit: int = 6, shots: int = 0) -> dict[str, Any]:
        loaded = manager.load(tasks)
        for task in loaded["tasks"].values():
            task.set_config(key="num_fewshot", value=shots)
            task.set_fewshot_seed(1234)
        return run(lm=lm, task_dict=loaded, limit=limit, bootstrap_iters=0)

    return call


@pytest.fixture(scope="session")
def tiny_gpt2() -> Any:
    return build_model("gpt2", n_positions=256, vocab_size=VOCABULARY)


@pytest.fixture(scope="session")
def make_sna(tiny_gpt2: Any, word_tokenizer: Any) -> Callable[..., Any]:
    """An `SNALM` around the tiny model."""
    from sna_eval.harness.lm import SNALM

    def make(model: Any = None, **arguments: Any) -> Any:
        arguments = {"batch_size": 8, "max_batch_size": 4, **arguments}
        return SNALM(model or tiny_gpt2, tokenizer=word_tokenizer, **arguments)

    return make


@pytest.fixture(scope="session")
def make_hf(tiny_gpt2: Any, word_tokenizer: Any) -> Callable[..., Any]:
    """lm_eval's own Hugging Face model around the tiny model."""
    from lm_eval.models.huggingface import HFLM

    def make(model: Any = None, **arguments: Any) -> Any:
        arguments = {"batch_size": 8, "max_batch_size": 4, **arguments}
        return HFLM(model or tiny_gpt2, tokenizer=word_tokenizer, **arguments)

    return make


def long_rope(first: int = 16) -> Any:
    """A tiny Phi-3 whose rotary factors are others for texts of more than `first` tokens."""
    factors = {"short_factor": [1.0] * 4, "long_factor": [1.5, 2.0, 4.0, 8.0]}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, **factors}
    return build_model(
        "phi3", vocab_size=VOCABULARY, max_position_embeddings=256, num_key_value_heads=2,
        original_max_position_embeddings=first,
        rope_parameters={**rope, "original_max_position_embeddings": first},
    )  # fmt: skip


def answers(results: dict[str, Any]) -> dict[str, list[Any]]:
    """Every task's raw answers, document by document."""
    return {
        task: [sample["resps"] for sample in sorted(samples, key=lambda s: s["doc_id"])]
        for task, samples in results["samples"].items()
    }


def flat_numbers(value: Any) -> list[float]:
    """All numbers of nested answers, in order."""
    if isinstance(value, dict):
        return [number for key in sorted(value) for number in flat_numbers(value[key])]
    if isinstance(value, (list, tuple)):
        return [number for entry in value for number in flat_numbers(entry)]
    return [float(value)] if isinstance(value, (int, float)) else []
