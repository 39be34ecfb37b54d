"""Development prompts longer than the model reads, wherever neurons are searched for.

Each of these places hands the model its prompts by itself; each once handed it more than it has
positions for. What is found is what is found on prompts that were cut by hand.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sna_eval.app.core.setting import PromptSource
from sna_eval.app.core.workspace import Workspace
from sna_eval.harness.loading import load_lm, load_tasks
from sna_eval.harness.tasks.development import examples_of
from sna_eval.intervention import Intervention
from sna_eval.methods import METHODS, MethodConfig
from sna_eval.study.methods import MethodsOptions, measure_methods, parse_variants
from sna_eval.study.nulls import NullOptions, plan_null
from sna_eval.study.sweep import Sweep, SweepOptions, run_sweep

NAME, LAYER, COUNT, POSITIONS = "own_long", 1, 4, 128
TASK = """
task: own_long
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: loglikelihood
test_split: test
validation_split: validation
doc_to_text: "{{{{text}}}}"
doc_to_target: " {{{{answer}}}}"
metric_list: [{{metric: perplexity}}]
"""
WORDS = ["the", "cat", "sat", "on", "a", "mat", "while", "rain", "fell", "over", "town"]
PLAN = f"""
version: 1
tasks:
  {NAME}:
    gate: always
    interventions:
      - {{layer: {LAYER}, multiplier: 2.0, select: {{method: differential, top_k: {COUNT}}}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task whose development texts have some three hundred tokens, its test texts few."""
    path = tmp_path_factory.mktemp("long")
    for name, length in (("dev", 200), ("test", 6)):
        rows = [
            {"text": " ".join(WORDS[(3 * n + k * k) % 11] for k in range(length)), "answer": "mat"}
            for n in range(4)
        ]
        (path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (path / f"{NAME}.yaml").write_text(TASK.format(folder=path))
    (path / "plan.yaml").write_text(PLAN)
    return path


@pytest.fixture(scope="module")
def task(folder: Path) -> Any:
    return load_tasks([NAME], include_path=folder)[NAME]


@pytest.fixture(scope="module")
def planned(checkpoint: Path, folder: Path) -> Any:
    return load_lm(f"pretrained={checkpoint}", plan=str(folder / "plan.yaml"))


@pytest.fixture(scope="module")
def by_hand(planned: Any, task: Any) -> tuple[int, ...]:
    """The neurons of prompts that end as they do and begin later."""
    examples = examples_of(task)
    encode = planned.tok_encode
    assert all(len(encode(prompt)) > POSITIONS for prompt in examples.prompts)
    cut = replace(planned.plans._bench, encode=lambda text: encode(text)[-POSITIONS:])
    found = METHODS["sna"].find(
        replace(cut, max_length=None), examples, MethodConfig(LAYER, {}, top_k=COUNT)
    )
    return found.selected[""].neurons


def test_in_an_evaluation(planned: Any, task: Any, by_hand: tuple[int, ...]) -> None:
    (entry,) = planned.plans.for_task(task).interventions
    assert entry.neurons == {"": by_hand}


def test_in_a_sweep(
    checkpoint: Path, folder: Path, by_hand: tuple[int, ...], tmp_path: Path
) -> None:
    options = SweepOptions(
        tasks=(NAME,), model_args=f"pretrained={checkpoint}", include_path=str(folder),
        layers=(LAYER,), n_neurons=(COUNT,), multipliers=(2.0,), split="test",
    )  # fmt: skip
    rows = run_sweep(Sweep(options), tmp_path / "store", quiet=True).neurons().to_pylist()
    assert tuple(row["neuron"] for row in rows[:COUNT]) == by_hand


def test_in_the_app(planned: Any, task: Any, by_hand: tuple[int, ...]) -> None:
    source = PromptSource(prompts=examples_of(task).prompts)
    ranking = Workspace("tiny", planned).ranked(source, "differential", "mean").layers[LAYER]
    assert ranking.first(COUNT)[""].neurons == by_hand


def test_for_random_rankings_like_them(planned: Any, task: Any, by_hand: tuple[int, ...]) -> None:
    acting = (Intervention(LAYER, by_hand, 2.0),)
    options = NullOptions(draws=2, n_neurons=(COUNT,), layers=(LAYER,), development_limit=40)
    found = plan_null(planned, NAME, task, acting, options, quiet=True)
    assert found.claim.neurons == {f"layer {LAYER}": by_hand}
    assert [len(null.neurons[""]) for null in found.nulls] == [COUNT, COUNT]


def test_for_other_methods(planned: Any, task: Any, tmp_path: Path) -> None:
    options = MethodsOptions(limit=2, random_draws=1, tried=2, strengths=(1.0,), draws=20)
    variants = parse_variants(("caa",), seed=0)
    table = measure_methods(planned, {NAME: task}, variants, options, quiet=True)
    assert [row.method for row in table.rows] == ["sna", "sna_searched", "random_neurons", "caa"]
    assert all(row.n_items == 2 for row in table.rows)
