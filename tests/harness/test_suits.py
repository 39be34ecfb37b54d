"""A plan that does not suit one of a run's tasks: known before any of them is scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import evaluate as run
from lm_eval.tasks import TaskManager

from sna_eval.errors import InputError
from sna_eval.harness.tasks.plan_makers import PlanMakerOptions

PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 3.0}
FURTHER = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/rows.jsonl}}}}
output_type: {kind}
test_split: test
doc_to_text: "{{{{text}}}}"
doc_to_target: {target}
{more}metric_list: [{{metric: acc}}]
"""


@pytest.fixture(scope="module")
def load(own_tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("further")
    rows = [{"text": "the cat", "label": n, "answer": " sat"} for n in (0, 1, 5)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    choices = 'doc_to_choice: ["sat", "ran"]\n'
    for name, kind, target, more in (
        ("one", "loglikelihood", "answer", ""),
        ("beyond", "multiple_choice", "label", choices),
    ):
        text = FURTHER.format(name=name, folder=folder, kind=kind, target=target, more=more)
        (folder / f"{name}.yaml").write_text(text)
    manager = TaskManager(include_path=[own_tasks, folder], include_defaults=False)
    return lambda *names: manager.load(list(names))


def refused(lm: Any, loaded: Any, match: str) -> None:
    """The run ends with this line and not one pass through the model."""
    passes = []
    hook = lm.model.register_forward_pre_hook(lambda *_: passes.append(1))
    try:
        with pytest.raises(InputError, match=match):
            run(lm, loaded, bootstrap_iters=0)
    finally:
        hook.remove()
    assert not passes


@pytest.mark.parametrize(
    ("gate", "later", "match"),
    [
        ("target_prob", "own_generation", "max_prob.* for generated text, got 'target_prob'"),
        ("margin", "own_generation", "max_prob.* for generated text, got 'margin'"),
        ("margin", "own_rolling", "target_prob.* for a rolling text, got 'margin'"),
        ("entropy", "own_rolling", "target_prob.* for a rolling text, got 'entropy'"),
        ("margin", "one", "a signal for tasks with one continuation, got 'margin'"),
    ],
)
def test_a_signal_that_a_later_task_lacks(
    make_sna: Any, load: Any, gate: str, later: str, match: str
) -> None:
    lm = make_sna(**PLAN, gate=gate)
    _ = lm.engine  # what is tried of a model at load are passes too
    refused(lm, load("own_choices", later), rf"tasks\.{later}\.gate\.signal: expected .*{match}")


def test_a_document_without_a_right_answer(make_sna: Any, load: Any) -> None:
    """The last of a later task's, where the gate goes by the right answer."""
    lm = make_sna(**PLAN, gate="target_prob")
    refused(lm, load("own_choices", "beyond"), r"beyond: expected a right answer .*document 2: use")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"max_gen_toks": 256}, r"generation_kwargs\.max_gen_toks: expected fewer than the 256"),
        ({"do_sample": True}, r"generation_kwargs\.temperature: expected more than 0 beside do_s"),
        ({"temperature": "warm"}, r"generation_kwargs: expected settings of generation"),
        ({"guidance_scale": 1.5}, r"generation_kwargs\.guidance_scale: expected no such setting"),
        ({"num_beams": 2}, r"decide_at: expected `start` with beams or several sequences"),
    ],
)
def test_texts_that_cannot_be_generated(
    make_sna: Any, load: Any, settings: dict[str, Any], match: str
) -> None:
    """lm_eval and transformers stop at them, at the first text and after all that was scored."""
    loaded = load("own_choices", "own_generation")
    task = loaded["tasks"]["own_generation"]
    task.set_config("generation_kwargs", {"until": ["zzz"], "max_gen_toks": 8, **settings})
    lm = make_sna(**PLAN, gate="max_prob", decide_at="every_step")
    _ = lm.engine
    refused(lm, loaded, match)


def test_scores_of_a_model_that_thinks(make_sna: Any, load: Any) -> None:
    lm = make_sna(**PLAN, gate="max_prob", enable_thinking=True, think_end_token="zzz")
    _ = lm.engine
    refused(lm, load("own_generation", "own_choices"), "enable_thinking: expected tasks of gener")
    assert run(lm, load("own_generation"), bootstrap_iters=0)["results"]["own_generation"]


def test_neurons_that_cannot_be_searched(make_sna: Any, load: Any) -> None:
    lm = make_sna(layer=2, top_k=3, multiplier=3.0, gate="always")
    refused(lm, load("own_choices", "one"), r"tasks\.one\.select\.prompts: expected development")


@pytest.mark.parametrize("direction", ["predicted", "a label"])
def test_directions_that_go_by_choices(
    make_sna: Any, load: Any, tmp_path: Path, direction: str
) -> None:
    named = {"predicted": "predicted", "a label": "other"}[direction]
    path = tmp_path / "plan.yaml"
    path.write_text(
        "version: 1\ntasks:\n  '*':\n    gate: {signal: max_prob}\n    interventions:\n"
        f"      - {{layer: 1, multiplier: 2.0, direction: {named}, neurons: {{so: [1], the: [2]}}}}"
    )
    lm = make_sna(plan=str(path))
    match = {"predicted": "where there are no choices", "a label": "`both` or one of so, the"}
    refused(
        lm, load("own_choices", "own_generation"),
        rf"tasks\.own_generation\.direction: expected .*{match[direction]}",
    )  # fmt: skip


def test_a_gate_that_is_asked_for_beside_a_plan_to_be_made(
    make_sna: Any, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(
        "sna_eval.harness.tasks.plan_makers.load_maker", lambda name: lambda *a: made.append(a)
    )
    lm = make_sna(plan="auto", gate="margin")
    assert isinstance(lm._maker_options, PlanMakerOptions)
    match = r"tasks\.own_generation\.gate\.signal: expected .* for generated text, got 'margin'"
    with pytest.raises(InputError, match=match):
        run(lm, load("own_choices", "own_generation"), bootstrap_iters=0)
    assert not made


def test_a_plan_that_cannot_be_made_for_a_later_task(
    make_sna: Any, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr(
        "sna_eval.harness.tasks.plan_makers.load_maker", lambda name: lambda *a: made.append(a)
    )
    with pytest.raises(InputError, match=r"plan: expected tasks with dev.*, got 'one, which has"):
        run(make_sna(plan="auto"), load("own_choices", "one"), bootstrap_iters=0)
    assert not made


@pytest.mark.parametrize("gate", ["always", "never", "max_prob"])
def test_what_suits_runs(make_sna: Any, load: Any, gate: str) -> None:
    names = ("own_choices", "own_generation", "beyond")
    lm = make_sna(**PLAN, gate=gate)
    assert set(run(lm, load(*names), bootstrap_iters=0)["results"]) == set(names)
