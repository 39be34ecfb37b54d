"""Several tasks under one plan, development items, a user's own YAML, and what results say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.loading import load_tasks
from sna_eval.harness.tasks.development import development_docs
from sna_eval.neurons import neutral_sentences
from sna_eval.plan import Plan, PlannedIntervention, TaskPlan
from sna_eval.study.results.zone_table import format_rows, zone_rows

PLAN = """
version: 1
defaults: {gate: always}
tasks:
  "sna_math_*":
    interventions: [{layer: 1, multiplier: 2.0, select: {top_k: 4}}]
  "sna_math_easy":
    interventions: [{layer: 3, multiplier: 2.0, select: {top_k: 7}}]
  "sna_poetry_*":
    gate: never
    interventions: [{layer: 2, multiplier: 2.0, select: {top_k: 4}}]
"""
TASKS = ["sna_math_easy", "sna_math_hard", "sna_poetry_hard", "sna_logic_easy"]


def test_each_task_gets_its_own_entry(evaluate: Any, make_sna: Any, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    lm = make_sna(plan=str(tmp_path / "plan.yaml"))
    results = evaluate(lm, TASKS)["results"]
    described = lm.get_model_info()["sna"]
    assert set(described["tasks"]) == {"sna_math_easy", "sna_math_hard", "sna_poetry_hard"}
    for task, layer, count in (("sna_math_easy", 3, 7), ("sna_math_hard", 1, 4)):
        of_task = described["tasks"][task]
        assert of_task["interventions"][0]["layer"] == layer
        assert len(of_task["interventions"][0]["neurons"]) == count
        assert of_task["amplified_fraction"] == 1.0
        assert results[task]["delta_prob,none"] != 0.0
    for task in ("sna_poetry_hard", "sna_logic_easy"):
        assert results[task]["delta_prob,none"] == 0.0
        assert results[task]["amplified_fraction,none"] == 0.0
    assert described["amplified_fraction"] == pytest.approx(12 / 18)
    assert described["plan_fingerprint"]
    json.dumps(described)  # stands in every result file


def test_all_tasks_of_a_run_are_searched_for_together(
    make_sna: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neutral text is read once, and a bar over all prompts names the tasks."""
    (tmp_path / "plan.yaml").write_text(PLAN)
    lm = make_sna(plan=str(tmp_path / "plan.yaml"))
    lm.plans.for_tasks(load_tasks(["sna_math_easy", "sna_math_hard"]))
    said = capsys.readouterr().err
    assert all(name in said for name in ("Searching neurons", "sna_math_easy", "sna_math_hard"))
    prompts = 50 + 50 + len(neutral_sentences())
    assert f"{prompts}/{prompts}" in said
    together = lm.plans.resolved
    alone = make_sna(plan=str(tmp_path / "plan.yaml"))
    (task,) = load_tasks(["sna_math_hard"]).values()
    assert alone.plans.for_task(task) == together["sna_math_hard"]
    (entry,) = together["sna_math_easy"].interventions
    assert (entry.found.n_prompts, entry.found.max_prompts) == (50, 256)
    assert entry.found.sinks == "drop"


def test_a_plan_is_silent_where_nothing_is_searched_for(
    make_sna: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = make_sna(layer=1, neurons="3;4", multiplier=2.0)
    lm.plans.for_tasks(load_tasks(["sna_math_easy"]))
    assert "Searching" not in capsys.readouterr().err


def test_results_say_whether_anything_saw_the_answer(evaluate: Any, make_sna: Any) -> None:
    for gate, sees in (("target_prob", True), ("max_prob", False), ("always", False)):
        lm = make_sna(layer=1, neurons="3;4", multiplier=2.0, gate=gate)
        evaluate(lm, ["sna_math_easy"], limit=2)
        assert lm.describe()["sees_answer"] is sees


@pytest.mark.parametrize("arguments", [{"layer": 1, "neurons": "3", "multiplier": 2.0}, "auto"])
def test_under_another_plan_until_the_body_ends(make_sna: Any, arguments: Any) -> None:
    """Also where it ends by an exception, and where plans are made in the run."""
    lm = make_sna(**(arguments if isinstance(arguments, dict) else {"plan": arguments}))
    plan, plans = lm.plan, lm.plans
    (task,) = load_tasks(["sna_math_easy"]).values()
    other = PlannedIntervention(2, 3.0, neurons={"": (5,)})

    def stopped() -> None:
        with lm.under(Plan({"sna_math_easy": TaskPlan(Gate(), (other,))})):
            assert lm.plans.for_task(task).interventions == (other,)
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        stopped()
    assert lm.plan is plan
    assert lm.plans is plans


def test_selection_uses_development_items_only() -> None:
    (task,) = load_tasks(["sna_math_easy"]).values()
    texts = {doc["prompt"] for doc in development_docs(task)}
    assert len(texts) >= 40
    assert not texts & {doc["prompt"] for doc in task.test_docs()}


def test_a_resolved_plan_repeats_the_run(evaluate: Any, make_sna: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    from sna_eval.plan import save_plan

    (tmp_path / "plan.yaml").write_text(PLAN)
    first = make_sna(plan=str(tmp_path / "plan.yaml"))
    expected = evaluate(first, TASKS[:2])["results"]
    save_plan(replace(first.plan, tasks=first.plans.resolved), tmp_path / "resolved.yaml")
    again = evaluate(make_sna(plan=str(tmp_path / "resolved.yaml")), TASKS[:2])["results"]
    assert again == expected


OWN_TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{{splits}}}}}
output_type: loglikelihood
{lines}
doc_to_text: "{{{{question}}}}"
doc_to_target: " {{{{answer}}}}"
process_results: !function sna_eval.harness.metrics.generation_results
metric_list:
  - {{metric: prob, aggregation: mean, higher_is_better: true}}
  - {{metric: baseline_prob, aggregation: mean, higher_is_better: true}}
"""


@pytest.fixture
def own_task(tmp_path: Path) -> Any:
    """Writes a user's task by YAML alone; returns its folder."""

    def write(name: str, *splits: str) -> Path:
        for split in splits:
            rows = [
                {"question": f"{split} question {n}", "answer": f"answer {n}"} for n in range(5)
            ]
            (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        files = ", ".join(f"{split}: {tmp_path}/{split}.jsonl" for split in splits)
        lines = "\n".join(f"{split}_split: {split}" for split in splits)
        text = OWN_TASK.format(name=name, splits=files, lines=lines)
        (tmp_path / f"{name}.yaml").write_text(text)
        return tmp_path

    return write


def run(lm: Any, name: str, folder: Path) -> Any:
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return evaluate(lm=lm, task_dict=manager.load([name]), bootstrap_iters=0)


SELECTED = {"layer": 1, "top_k": 3, "multiplier": 4.0, "gate": "always"}


def test_a_task_added_by_yaml_alone(make_sna: Any, own_task: Any) -> None:
    folder = own_task("mine", "test", "validation")
    lm = make_sna(**SELECTED)
    results = run(lm, "mine", folder)["results"]["mine"]
    assert results["prob,none"] != results["baseline_prob,none"]
    (entry,) = lm.plans.resolved["mine"].interventions
    assert entry.found is not None
    assert entry.found.n_prompts == 5


def test_no_development_items(make_sna: Any, own_task: Any) -> None:
    folder = own_task("bare", "test")
    with pytest.raises(InputError, match=r"tasks.bare.select.prompts: expected development items"):
        run(make_sna(**SELECTED), "bare", folder)


def test_a_split_that_is_evaluated_does_not_count(make_sna: Any, own_task: Any) -> None:
    folder = own_task("validated", "validation")
    with pytest.raises(InputError, match="expected development items"):
        run(make_sna(**SELECTED), "validated", folder)


def test_unknown_tasks() -> None:
    with pytest.raises(InputError, match=r"tasks: expected names .*, got 'nothing'"):
        load_tasks(["nothing"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": 9}, r"tasks.\*.interventions\[0\].layer: expected a layer from 0 to 3"),
        ({"neurons": "999999"}, r"neurons: expected neurons from 0 to 127"),
        ({"multiplier": "inf"}, "multiplier: expected a number, got 'inf'"),
        ({"multiplier": float("nan")}, "multiplier: expected a finite number"),
        ({"low": 0.9}, "gate.low: expected at most gate.high"),
    ],
)
def test_bad_plans_stop_before_anything_runs(make_sna: Any, changes: Any, message: str) -> None:
    plan = {"layer": 1, "neurons": "3;4", "multiplier": 2.0, "gate": "target_prob"}
    with pytest.raises(InputError, match=message):
        make_sna(**{**plan, **changes})


def test_plan_of_another_model(make_sna: Any, tmp_path: Path) -> None:
    head = "version: 1\nmodel: {name: gpt2-medium, n_layers: 24, d_mlp: 4096}\n"
    (tmp_path / "plan.yaml").write_text(head + PLAN.replace("version: 1\n", ""))
    with pytest.raises(InputError, match="this plan was made for gpt2-medium; load that one"):
        make_sna(plan=str(tmp_path / "plan.yaml"))


def test_side_by_side_reads_what_lm_eval_writes(
    evaluate: Any, make_sna: Any, tmp_path: Path
) -> None:
    samples = evaluate(make_sna(layer=1, neurons="3;4", multiplier=4.0), ["sna_math_easy"])
    lines = [json.dumps(sample) for sample in samples["samples"]["sna_math_easy"]]
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "samples_sna_math_easy_2026-01-01T00-00-00.jsonl").write_text("\n".join(lines))
    rows = zone_rows(tmp_path)
    results = samples["results"]["sna_math_easy"]
    assert rows[0].amplified == pytest.approx(results["prob,none"])
    assert rows[0].baseline == pytest.approx(results["baseline_prob,none"])
    assert sum(row.n_items for row in rows[1:]) == rows[0].n_items == 6
    assert "sna_math_easy" in format_rows(rows)
    with pytest.raises(InputError, match="expected sample files"):
        zone_rows(tmp_path / "none")


def test_side_by_side_takes_the_newest_run_alone(
    evaluate: Any, make_sna: Any, tmp_path: Path
) -> None:
    """A task of an earlier run into the same folder stood beside the newest run's plan."""
    lm = make_sna(layer=1, neurons="3;4", multiplier=4.0)
    for date, tasks in (("2026-01-01", TASKS[:2]), ("2026-01-02", TASKS[:1])):
        for task, found in evaluate(lm, tasks, limit=2)["samples"].items():
            lines = "\n".join(json.dumps(sample) for sample in found)
            (tmp_path / f"samples_{task}_{date}T00-00-00.jsonl").write_text(lines)
        (tmp_path / f"results_{date}T00-00-00.json").write_text("{}")
    assert {row.task for row in zone_rows(tmp_path)} == set(TASKS[:1])


def test_missing_models_are_one_line(tmp_path: Path) -> None:
    from sna_eval.harness.lm import SNALM

    with pytest.raises(InputError, match="pretrained: expected a model folder or hub name"):
        SNALM(str(tmp_path / "none"), gate="never")


def test_without_a_plan_any_architecture_will_do(
    evaluate: Any, make_sna: Any, make_hf: Any
) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=512, hidden_size=16, num_hidden_layers=1, state_size=4)
    model = MambaForCausalLM(config).eval()
    tasks = ["sna_math_easy", "own_rolling"]
    got = evaluate(make_sna(model, gate="never"), tasks, limit=3)["results"]
    expected = evaluate(make_hf(model), tasks, limit=3)["results"]
    assert got == expected
