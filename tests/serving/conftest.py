"""A tiny model with an exported plan behind a server, and the tasks that ask it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sna_eval.export import export_plan
from sna_eval.files import tasks_path
from sna_eval.gating import Gate
from sna_eval.plan import Plan, save_plan
from tests.export.conftest import PLAN, model_folder, one_thread, source_of
from tests.serving.completions_server import Engine, serving

__all__ = ["model_folder", "one_thread"]

COUNT = 20
GATE = Gate("margin", 0.80, 0.95)
TASK_YAML = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/documents.jsonl}}}}
output_type: {kind}
test_split: test
doc_to_text: "{text}"
doc_to_choice: {choices}
doc_to_target: "{target}"
target_delimiter: ""
{generation}
metric_list: [{{metric: {metric}}}]
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: Any) -> Path:
    """Documents with two choices, some of several tokens, and four tasks that ask them."""
    folder = tmp_path_factory.mktemp("documents")
    items = tasks_path() / "data" / "sna_logic_easy" / "test.jsonl"
    rows = [json.loads(line) for line in items.read_text(encoding="utf-8").splitlines()]
    with (folder / "documents.jsonl").open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows[:COUNT]):
            others = (other["target"] for other in rows[number + 7 :])
            choices = [row["target"], next(text for text in others if text != row["target"])]
            choices = choices[:: 1 if number % 2 else -1]
            context = row["prompt"] + (" " if number % 10 == 0 else "")  # space that moves over
            document = {"context": context, "choices": choices, "answer": number % 2 ^ 1}
            print(json.dumps(document), file=file)
    until = 'generation_kwargs: {until: ["never"], max_gen_toks: 6}'
    for name, kind, text, target, generation, metric in (
        ("own_pairs", "multiple_choice", "{{context}}", "answer", "", "acc"),
        ("own_labels", "multiple_choice", "{{context.strip()}}", "answer", "", "acc"),
        ("own_texts", "generate_until", "{{context}}", "answer", until, "exact_match"),
        ("own_rolling", "loglikelihood_rolling", "", "{{context}}", "", "word_perplexity"),
    ):
        values = {"name": name, "kind": kind, "generation": generation, "metric": metric}
        labels = "[' negative', ' positive']"  # one token each
        values |= {"text": text, "target": target}
        values |= {"choices": labels if name == "own_labels" else '"{{choices}}"'}
        (folder / f"{name}.yaml").write_text(TASK_YAML.format(folder=folder, **values))
    return folder


@pytest.fixture(scope="session")
def export_folder(model_folder: Any, tmp_path_factory: Any) -> Path:
    target = tmp_path_factory.mktemp("served") / "lora"
    plan = replace(PLAN, gate=GATE)
    return export_plan(source_of(model_folder("llama"), plan), target, format="lora")


@pytest.fixture(scope="session")
def shared_engine(model_folder: Any, export_folder: Path, word_tokenizer: Any) -> Engine:
    return Engine(model_folder("llama"), export_folder, word_tokenizer)


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """Without faults, and without requests so far."""
    shared_engine.requests.clear()
    shared_engine.fault = lambda body, answer: answer
    shared_engine.names = {"base": False, "sna": True}
    shared_engine.mixes = shared_engine.met = False
    shared_engine.sends_named = True
    return shared_engine


@pytest.fixture
def url(engine: Engine) -> Iterator[str]:
    with serving(engine) as url:
        yield url


@pytest.fixture
def plan_file(tmp_path: Path) -> Any:
    """Writes the plan of a task behind a gate."""

    def write(task: str, gate: Gate) -> str:
        path = tmp_path / "plan.yaml"
        save_plan(Plan({task: replace(PLAN, gate=gate)}), path)
        return str(path)

    return write


@pytest.fixture
def run(folder: Path) -> Any:
    """A task's samples under a model type, in order."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from sna_eval.harness.plugin.registration import register

    register()

    def run(kind: str, task: str, /, *, use_cache: str | None = None, **model_args: Any) -> Any:
        results = simple_evaluate(
            model=kind,
            model_args=model_args,
            tasks=[task],
            task_manager=TaskManager(include_path=[folder], include_defaults=False),
            device="cpu",
            batch_size=4,
            bootstrap_iters=0,
            use_cache=use_cache,
        )
        results["samples"][task].sort(key=lambda sample: sample["doc_id"])
        return results

    return run
