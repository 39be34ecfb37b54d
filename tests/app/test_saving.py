"""What is saved gives the same numbers through lm_eval."""

from __future__ import annotations

import copy
import io
import zipfile
from pathlib import Path

import pytest
import yaml

from sna_eval.app.core.question import TypedQuestion
from sna_eval.app.core.saving import Saved, save_state
from sna_eval.app.core.setting import PromptSource, Setting
from sna_eval.app.core.trying import TryConfig, try_it
from sna_eval.app.core.workspace import Workspace, plan_of
from sna_eval.gating import Gate
from sna_eval.plan import parse_plan
from tests.app.conftest import SENTIMENT, TEN, a_setting

QUESTIONS = [TEN, SENTIMENT, TypedQuestion('Say {{ "hi" }} {% twice %}:', " 7")]


@pytest.fixture(scope="module")
def saved(workspace: Workspace) -> Saved:
    return save_state(workspace, a_setting(), QUESTIONS)


def test_the_plan_is_resolved_and_says_how(workspace: Workspace, saved: Saved) -> None:
    plan = parse_plan(yaml.safe_load(saved.plan))
    assert plan == parse_plan(yaml.safe_load(saved.plan))
    (task,) = plan.tasks.values()
    assert task == plan_of(workspace, a_setting()).tasks["own_prompts"]
    assert (plan.model.name, plan.model.n_layers, plan.model.d_mlp) == ("sna-reference", 8, 768)
    found = task.interventions[0].found
    assert found is not None
    assert (found.task, found.method, found.top_k) == ("sna_math_easy", "differential", 25)


def test_the_command_names_the_files(saved: Saved) -> None:
    assert saved.command == (
        "lm_eval --model sna --model_args pretrained=sna-reference,plan=plan.yaml "
        "--tasks own_prompts,own_prompts_choices --include_path . --batch_size 1 "
        "--output_path out --log_samples"
    )
    with zipfile.ZipFile(io.BytesIO(saved.archive())) as archive:
        names = set(archive.namelist())
        assert archive.read("command.sh").decode().strip() == saved.command
    assert names == {*saved.files, "command.sh"}


def test_a_model_beside_the_server_is_found_from_elsewhere(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is run where the files were unpacked."""
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    named = copy.copy(workspace)
    monkeypatch.setattr(named, "name", "mine")
    command = save_state(named, a_setting(), [TEN]).command
    assert f"pretrained={tmp_path / 'mine'},plan=plan.yaml" in command


def test_lm_eval_gives_the_same_numbers(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare_with_lm_eval(workspace, a_setting(), tmp_path, monkeypatch)


def test_also_for_other_methods_gates_and_positions(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = a_setting(
        method="attribution", layer=2, gate=Gate("max_prob", 0.5, 0.9), positions="last"
    )
    compare_with_lm_eval(workspace, setting, tmp_path, monkeypatch)


@pytest.mark.slow
def test_also_for_labels(
    workspace: Workspace, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNA_EVAL_SST2", str(shared_data / "sst2"))
    setting = a_setting(
        source=PromptSource("sna_sst2"), method="contrastive", layer=5, direction="positive"
    )
    compare_with_lm_eval(workspace, setting, tmp_path, monkeypatch)


def compare_with_lm_eval(
    workspace: Workspace, setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpacks what was saved and evaluates it where it lies."""
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    from sna_eval.harness.lm import SNALM

    saved = save_state(workspace, setting, QUESTIONS)
    with zipfile.ZipFile(io.BytesIO(saved.archive())) as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    tasks = TaskManager(include_path=["."], include_defaults=False).load(
        ["own_prompts", "own_prompts_choices"]
    )
    lm = SNALM("sna-reference", plan="plan.yaml", batch_size=1)
    results = evaluate(lm=lm, task_dict=tasks, bootstrap_iters=0)
    samples = results["samples"]
    tried = [try_it(workspace, TryConfig(question, setting)) for question in QUESTIONS]
    for sample, one in zip(samples["own_prompts"], (tried[0], tried[2]), strict=True):
        assert sample["baseline_prob"] == pytest.approx(one.before.prob, abs=1e-5)
        assert sample["prob"] == pytest.approx(one.after.prob, abs=1e-5)
    (choice,) = samples["own_prompts_choices"]
    answers = [score for ((score, _),) in choice["resps"]]
    assert answers == pytest.approx(tried[1].after.log_likelihoods, abs=1e-5)
