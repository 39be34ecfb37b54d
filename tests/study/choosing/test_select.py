"""From a store to a plan that lm_eval runs and that does what the store said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.tasks.contexts import TaskArguments
from sna_eval.plan import load_plan, plan_fingerprint, save_plan
from sna_eval.study.choosing import SelectOptions, select, task_effects
from sna_eval.study.sweep import Sweep, SweepOptions, SweepStore, run_sweep

MakeSweep = Callable[..., Sweep]


def test_effects_of_closed_items_are_zero(store: SweepStore) -> None:
    items = store.table("items", tasks=["own_open"]).to_pandas()
    low, high = np.quantile(items["confidence"], [0.4, 0.7])
    gate = Gate("target_prob", float(low), float(high))
    shape = (3 * 2 * 2, 6)
    raw = (items["amplified_prob"] - items["baseline_prob"]).to_numpy().reshape(shape)
    confidence = items["confidence"].to_numpy().reshape(shape)
    effects = task_effects(store, "own_open", gate)
    assert effects.measure == "prob"
    np.testing.assert_array_equal(effects.effects, np.where(confidence < low, raw, 0.0))
    wider = task_effects(store, "own_open", replace(gate, transition="amplify"))
    np.testing.assert_array_equal(wider.effects, np.where(confidence <= high, raw, 0.0))
    always = task_effects(store, "own_open", replace(gate, mode="always"))
    np.testing.assert_array_equal(always.effects, raw)


def test_choices_are_measured_by_accuracy(store: SweepStore) -> None:
    always = Gate(mode="always")
    assert task_effects(store, "own_labels", always).measure == "acc"
    assert task_effects(store, "own_open", always).measure == "prob"
    assert set(np.unique(task_effects(store, "own_labels", always).effects)) <= {-1.0, 0.0, 1.0}
    with pytest.raises(InputError, match="measure: expected `prob`, as the items have no choices"):
        task_effects(store, "own_open", always, measure="acc")


def test_what_is_swept_without_a_gate_is_chosen_without_one(
    lm: Any, load: Callable[..., Any], tmp_path: Path
) -> None:
    """A rolling text: behind the paper's gate a good model would never have been amplified."""
    (task,) = load("own_open").values()
    task.OUTPUT_TYPE = "loglikelihood_rolling"
    options = SweepOptions(tasks=("own_open",), layers=(0,), n_neurons=(2,), multipliers=(2.0,))
    store = run_sweep(Sweep(options, lm=lm, tasks={"own_open": task}), tmp_path, quiet=True)
    plan = select(store, SelectOptions(measure="log_prob")).plan
    assert plan.tasks["own_open"].gate.mode == "always"


def test_the_best_by_mean_is_the_best_of_the_store(store: SweepStore) -> None:
    selection = select(store, SelectOptions(by="mean", gate="always", measure="prob"))
    rows = store.configurations().to_pandas()
    for choice in selection.choices:
        row = rows[rows["task"] == choice.task]
        best = row.loc[row["delta_prob"].idxmax()]
        assert choice.row["found"] == best["found"]
        for key in ("layer", "n_neurons", "multiplier", "direction"):
            assert choice.row[key] == best[key]
        assert choice.gain == pytest.approx(best["delta_prob"])


def test_the_plan_runs_and_gives_what_the_store_said(
    checkpoint: Path, sweep_of: MakeSweep, load: Callable[..., Any], tmp_path: Path
) -> None:
    """On the items it was chosen on, gated: the gain of the choice is that of the evaluation."""
    from lm_eval.evaluator import evaluate

    from sna_eval.harness.loading import load_lm

    gates = tmp_path / "gates.yaml"
    gates.write_text(
        "version: 1\ntasks: {own_open: {gate: {low: 0.0005, high: 0.5}, "
        "interventions: [{layer: 0, multiplier: 2.0, neurons: [1]}]}}"
    )
    sweep = sweep_of("own_open", split="test", layers=(0, 2), plan=str(gates))
    swept = run_sweep(sweep, tmp_path / "store", quiet=True)
    selection = select(swept, SelectOptions(allow_test=True))
    save_plan(selection.plan, tmp_path / "plan.yaml")
    assert plan_fingerprint(load_plan(tmp_path / "plan.yaml")) == plan_fingerprint(selection.plan)
    sna = load_lm(f"pretrained={checkpoint},plan={tmp_path / 'plan.yaml'}")
    tasks = {"tasks": load("own_open"), "groups": {}, "group_map": {}}
    samples = evaluate(sna, task_dict=tasks, bootstrap_iters=0)["samples"]["own_open"]
    scores = [sample["filtered_resps"][0][0] for sample in samples]
    gains = [np.exp(score) - np.exp(score.evidence.baseline) for score in scores]
    opened = [score.evidence.amplified for score in scores]
    assert any(opened)
    assert not all(opened)
    (choice,) = selection.choices
    assert choice.gain == pytest.approx(np.mean(gains), abs=1e-7)


def test_the_plan_says_how_it_was_chosen(store: SweepStore) -> None:
    plan = select(store).plan
    assert (plan.model.n_layers, plan.model.d_mlp) == (3, 128)
    assert list(plan.tasks) == ["own_open", "own_labels", "own_choices"]
    (entry,) = plan.tasks["own_open"].interventions
    assert entry.resolved
    assert entry.scores is not None
    found = entry.found.to_dict()
    assert found["method"] == "differential"
    chosen = found["chosen"]
    assert (chosen["split"], chosen["by"], chosen["among"]) == ("development", "lower_bound", 12)
    assert chosen["sweep"] == store.manifest["plan_fingerprint"]
    assert plan.tasks["own_labels"].gate == Gate("margin", 0.30, 0.60)
    always = select(store, SelectOptions(gate="always")).plan
    assert always.tasks["own_labels"].gate.mode == "always"


def test_the_plan_says_what_was_said_of_its_tasks(
    lm: Any, load: Callable[..., Any], tmp_path: Path
) -> None:
    """Chosen on prompts with examples: on others it is another choice."""
    task = load("own_open")["own_open"]
    asked = TaskArguments({"lengths": [1, 2]}, num_fewshot=2)
    options = SweepOptions(
        tasks=("own_open",), layers=(0,), n_neurons=(2,), multipliers=(2.0,), arguments=asked
    )
    asked.settle(task)
    store = run_sweep(Sweep(options, lm=lm, tasks={"own_open": task}), tmp_path, quiet=True)
    save_plan(select(store, SelectOptions(by="mean")).plan, tmp_path / "plan.yaml")
    (entry,) = load_plan(tmp_path / "plan.yaml").tasks["own_open"].interventions
    assert entry.chosen is not None
    assert entry.chosen.task_arguments == {"metadata": {"lengths": [1, 2]}, "num_fewshot": 2}
    assert "task_arguments" not in entry.chosen.further


def test_test_items_are_refused_unless_forced(
    sweep_of: MakeSweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sweep(sweep_of("own_open", split="test", layers=(0,)), tmp_path / "s", quiet=True)
    typed = ["select", str(tmp_path / "s"), "--output", str(tmp_path / "plan.yaml")]
    assert main(typed) == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    assert "store.split: expected development items to choose on, got 'test'" in line
    assert not (tmp_path / "plan.yaml").exists()
    assert main([*typed, "--force"]) == 0
    assert "results on them are no evidence" in capsys.readouterr().err
    (entry,) = load_plan(tmp_path / "plan.yaml").tasks["own_open"].interventions
    assert entry.chosen.selected_on_test_items is True


def test_an_unfinished_sweep_is_refused(sweep_of: MakeSweep, tmp_path: Path) -> None:
    store = run_sweep(sweep_of("own_open", layers=(0, 1)), tmp_path, quiet=True)
    (tmp_path / "configurations" / "own_open" / "layer-001.parquet").unlink()
    with pytest.raises(InputError, match="store: expected a complete sweep, got '1 of 2 units"):
        select(store)


def test_as_typed(store: SweepStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "plan.yaml"
    assert main(["select", str(store.path), "--output", str(output), "--by", "mean"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["own_open", "own_labels", "own_choices"]
    assert "best of 12" in lines[0]
    assert lines[3] == f"{output}: plan {plan_fingerprint(load_plan(output))}, 3 tasks"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"by": "median"}, "by: expected one of lower_bound, mean, got 'median'"),
        ({"gate": "never"}, "gate: expected one of confidence, always, got 'never'"),
        ({"measure": "loss"}, "measure: expected one of prob, acc, log_prob, got 'loss'"),
    ],
)
def test_impossible_settings(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SelectOptions(**values)
