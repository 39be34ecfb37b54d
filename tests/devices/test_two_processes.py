"""Two processes answer as one does, sharing the documents or holding the model together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.loading import load_lm
from sna_eval.harness.plugin.ranks import Ranks
from tests.devices.conftest import Job, Results, assert_same_answers, assert_same_counts, launch
from tests.devices.evaluate import evaluate

PLAN = """
version: 1
tasks:
  sna_math_easy:
    gate: {signal: max_prob, low: 0.02, high: 0.5}
    interventions:
      - {layer: 2, multiplier: 3.0, select: {method: differential, top_k: 9}}
  own_choices:
    gate: {signal: margin, low: 0.6, high: 0.9}
    interventions: [{layer: 1, multiplier: 3.0, neurons: [1, 5, 31, 32, 63]}]
  "own_[gr]*":
    gate: {mode: always}
    interventions: [{layer: 1, multiplier: 2.0, neurons: [40, 41]}]
  own_choices_again:
    gate: {mode: always}
    interventions: [{layer: 2, method: ia3, parameters: {layer_002: FACTORS}}]
"""
FACTORS = str([1 + 0.25 * (number % 5) for number in range(64)])
TASKS = ["sna_math_easy", "own_choices", "own_choices_again", "own_rolling", "own_generation"]

Runs = tuple[Job, list[Results], str]


@pytest.fixture(scope="module")
def runs(
    saved: Callable[[str], Path],
    job: Callable[..., Job],
    tmp_path_factory: pytest.TempPathFactory,
) -> Runs:
    """What one process is asked, and the answers and prints of two that are asked it twice."""
    folder = tmp_path_factory.mktemp("runs")
    plan = folder / "plan.yaml"
    plan.write_text(PLAN.replace("FACTORS", FACTORS))
    arguments = {"pretrained": str(saved("llama")), "plan": str(plan)}
    copies = job(arguments, [*TASKS, "sna_math_hard"])
    sharded = job({**arguments, "tp_plan": "auto"}, TASKS)
    return (job(arguments, [*TASKS, "sna_math_hard"]), *launch([copies, sharded], folder))


@pytest.fixture(scope="module")
def alone(runs: Runs) -> Results:
    results = evaluate(runs[0])
    assert results is not None
    return results


def test_data_parallel(runs: Runs, alone: Results) -> None:
    """Five documents: three for one process, two and lm_eval's padding for the other."""
    got, printed = runs[1][0], runs[2]
    assert_same_answers(got, alone)
    assert_same_counts(got, alone)
    sna = got["config"]["sna"]
    assert sna["processes"] == 2
    assert {name: task["items"] for name, task in sna["tasks"].items()} == dict.fromkeys(TASKS, 5)
    assert 0 < sna["amplified_fraction"] < 1, "gates open for some alone"
    assert printed.count("the plan has no entry for task 'sna_math_hard'") == 1


def test_tensor_parallel(runs: Runs, alone: Results) -> None:
    """Neurons of both halves of a layer: found, and amplified, where they are."""
    got, printed = runs[1][1], runs[2]
    part = {key: {task: alone[key][task] for task in TASKS} for key in ("samples", "results")}
    assert_same_answers(got, {**alone, **part})
    assert got["config"]["sna"]["tasks"] == alone["config"]["sna"]["tasks"]
    assert got["config"]["sna"]["model_hash"] == alone["config"]["sna"]["model_hash"]
    assert got["config"]["sna"]["processes"] == 2
    assert printed.count("Scoring items:   0%") == 2, "once in either run"


def test_tensor_parallel_learns_nothing(saved: Callable[[str], Path], own_tasks: Path) -> None:
    from sna_eval.harness.loading import load_tasks

    lm = load_lm({"pretrained": str(saved("llama")), "layer": 1, "method": "ia3", "gate": "always"})
    lm.ranks = Ranks(0, 2, sharded=True)
    (task,) = load_tasks(["own_choices"], include_path=own_tasks, only_bundled=True).values()
    with pytest.raises(InputError, match=r"own_choices\.method: .* under tp_plan, got 'ia3'"):
        lm.plans._search({"own_choices": lm.plan.tasks["*"]}, {"own_choices": lambda: task})


def test_commands_want_one_process(
    saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sna_eval.harness.lm.ranks_of", lambda *given, **named: Ranks(0, 2))
    with pytest.raises(InputError, match=r"processes: expected one, .* got 2"):
        load_lm({"pretrained": str(saved("gpt2")), "layer": 1, "neurons": "1", "multiplier": 2.0})


def test_tensor_parallel_needs_a_launcher(
    saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sna_eval.harness.lm import SNALM

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(InputError, match=r"tp_plan: expected processes that share .* torchrun"):
        SNALM(str(saved("llama")), tp_plan="auto", gate="never")


@pytest.mark.slow
def test_tensor_parallel_attribution(
    saved: Callable[[str], Path],
    job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Gradients of both halves of a layer; each run searches for itself."""
    asked = {"layer": 1, "top_k": 9, "multiplier": 6.0, "select": "attribution", "gate": "always"}
    arguments = {"pretrained": str(saved("llama")), **asked}
    tasks = ["sna_math_easy", "own_choices"]
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path / "two"))
    (got,), _ = launch([job({**arguments, "tp_plan": "auto"}, tasks)], tmp_path)
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path / "one"))
    alone = evaluate(job(arguments, tasks))
    assert alone is not None
    assert_same_answers(got, alone)
    scores = [
        json.loads(path.read_text())["entry"]["selected"][""]
        for number in ("two", "one")
        for path in sorted((tmp_path / number).glob("*.json"))
    ]
    assert len(scores) == 4
    for sharded, whole in zip(scores[:2], scores[2:], strict=True):
        assert sharded["neurons"] == whole["neurons"]
        assert sharded["scores"] == pytest.approx(whole["scores"], abs=1e-5)
