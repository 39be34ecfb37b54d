"""`plan=auto` as it is typed: from a task with splits to a plan that repeats its scores."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from sna_eval.cache import cache_dir
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.plan import load_plan, plan_fingerprint, prompt_fingerprint
from sna_eval.study.statistics import max_t_bounds
from sna_eval.study.sweep import SweepStore
from tests.study.auto.conftest import Run

BUDGET = {"plan": "auto", "auto_budget": 8}


def prompts(file: Path, template: str = "{text}") -> list[str]:
    return [template.format(**json.loads(line)) for line in file.read_text().splitlines()]


def only_store() -> SweepStore:
    """The one sweep that was made."""
    (path,) = (cache_dir() / "auto").iterdir()
    return SweepStore.load(path)


def saved_plan(output: Path) -> Path:
    """The plan beside the results."""
    (results,) = output.rglob("results_*.json")
    (plan,) = results.parent.glob("plan_*.yaml")
    assert json.loads(results.read_text())["config"]["sna"]["plan_file"] == str(plan)
    return plan


def test_one_command_and_its_plan_repeats_the_scores(
    run: Run, data: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run("own_three", output=tmp_path / "auto", gate="always", **BUDGET)
    shown = capsys.readouterr().err
    plan = saved_plan(tmp_path / "auto")
    assert "Sweep: 100%" in shown
    assert "sna-eval: own_three: layer " in shown
    assert f"sna-eval: plan=auto saved as {plan}" in shown
    again = run("own_three", output=tmp_path / "again", plan=str(plan))
    assert again["results"] == first["results"]
    assert again["samples"] == first["samples"]
    entry = first["results"]["own_three"]
    assert entry["prob,none"] != entry["baseline_prob,none"]
    fingerprints = {r["config"]["sna"]["plan_fingerprint"] for r in (first, again)}
    assert fingerprints == {plan_fingerprint(load_plan(plan))}
    assert "Sweep" not in capsys.readouterr().err


def test_neurons_and_choice_rest_on_the_validation_split(run: Run, data: dict[str, Path]) -> None:
    results = run("own_three", gate="always", **BUDGET)
    (entry,) = load_plan(results["config"]["sna"]["plan_file"]).tasks["own_three"].interventions
    found = entry.found.to_dict()
    assert found["prompt_hash"] == prompt_fingerprint(prompts(data["validation"]))
    chosen, store = found["chosen"], only_store()
    assert (chosen["split"], chosen["n_items"]) == ("development", 8)
    assert chosen["sweep"] == store.manifest["plan_fingerprint"]
    assert store.manifest["split"] == "development"
    items = store.items().to_pandas()
    items["gain"] = items["amplified_prob"] - items["baseline_prob"]
    gains = items.groupby(["layer", "n_neurons", "multiplier"])["gain"]
    grid = store.manifest["tasks"]["own_three"]["grid"]
    among = len(grid["layers"]) * len(grid["n_neurons"]) * len(grid["multipliers"])
    table = np.stack([np.asarray(effects) for _, effects in gains])
    bounds = pd.Series(max_t_bounds(table, among=among).bounds, index=gains.mean().index)
    single = gains.mean() - student.ppf(0.95, 7) * gains.std() / 8**0.5
    assert 1 < len(bounds) <= 8
    assert chosen["lower_bound"] == pytest.approx(bounds[single.idxmax()])
    assert chosen["lower_bound"] < single.max(), "the best of many is no single one"
    assert chosen["among"] == among
    (neurons,) = (entry.neurons or {}).values()
    assert single.idxmax() == (entry.layer, len(neurons), entry.multiplier)


def test_a_split_that_is_evaluated_is_not_chosen_on(run: Run, data: dict[str, Path]) -> None:
    """Without a test split lm_eval evaluates the validation split; the training split remains."""
    results = run("own_validated", **BUDGET)
    evaluated = {sample["doc"]["text"] for sample in results["samples"]["own_validated"]}
    assert evaluated == set(prompts(data["validation"]))
    (entry,) = load_plan(results["config"]["sna"]["plan_file"]).tasks["own_validated"].interventions
    assert entry.found.prompt_hash == prompt_fingerprint(prompts(data["train"]))
    assert only_store().manifest["tasks"]["own_validated"]["n_items"] == 9


@pytest.mark.parametrize(
    ("name", "measure", "signal"),
    [
        ("local_arc_easy", "acc", "margin"),
        ("local_sst2", "acc", "margin"),
        ("local_boolq", "acc", "margin"),
        ("local_gsm8k", "log_prob", "max_prob"),
        ("local_winogrande", "acc", "margin"),
    ],
)
def test_lm_eval_s_own_tasks_from_local_files(
    run: Run, tmp_path: Path, name: str, measure: str, signal: str
) -> None:
    first = run(name, output=tmp_path, **BUDGET)
    plan = load_plan(saved_plan(tmp_path)).tasks[name]
    (entry,) = plan.interventions
    assert plan.gate.signal == signal
    assert not plan.sees_answer
    assert entry.chosen.measure == measure
    labelled = name in ("local_sst2", "local_boolq")
    assert entry.found.method == ("contrastive" if labelled else "differential")
    again = run(name, plan=str(saved_plan(tmp_path)))
    assert again["results"] == first["results"]
    assert again["samples"] == first["samples"]


def test_choices_in_front_of_their_target_are_prompts(run: Run) -> None:
    """Winogrande's `doc_to_text` is the number of the right choice: no prompt at all. One text a
    document is searched on, the right choice with its target."""
    results = run("local_winogrande", **BUDGET)
    plan = load_plan(results["config"]["sna"]["plan_file"]).tasks["local_winogrande"]
    (entry,) = plan.interventions
    assert entry.found.n_prompts == 9  # the training split's


def test_rolling_texts(run: Run, tmp_path: Path) -> None:
    first = run("own_rolling", output=tmp_path, **BUDGET)
    plan = load_plan(saved_plan(tmp_path)).tasks["own_rolling"]
    (entry,) = plan.interventions
    assert plan.gate.mode == "always"
    assert entry.chosen.measure == "log_prob"
    again = run("own_rolling", plan=str(saved_plan(tmp_path)))["results"]
    plain = run("own_rolling", gate="never")["results"]
    assert again == first["results"] != plain
    with pytest.raises(InputError, match="gate: expected `always`, or none, for a rolling text"):
        run("own_rolling", gate="max_prob", **BUDGET)


def test_bundled_tasks(run: Run, tmp_path: Path) -> None:
    """Two tasks, one plan."""
    tasks = ("sna_math_easy", "sna_logic_hard")
    first = run(*tasks, output=tmp_path, limit=4, plan="auto", auto_budget=6)
    plan = saved_plan(tmp_path)
    assert tuple(load_plan(plan).tasks) == tasks
    (entry,) = load_plan(plan).tasks["sna_logic_hard"].interventions
    assert entry.chosen.ranked_apart
    assert 20 <= entry.chosen.n_items <= 30  # half of 50, no answer of them ranked on
    assert run(*tasks, limit=4, plan=str(plan))["results"] == first["results"]


def test_the_second_time_costs_nothing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    first = run("own_three", **BUDGET)["results"]
    capsys.readouterr()
    store = only_store()
    written = {path: path.stat().st_mtime_ns for path in store.path.rglob("*.parquet")}
    assert run("own_three", **BUDGET)["results"] == first
    assert {path: path.stat().st_mtime_ns for path in store.path.rglob("*.parquet")} == written


def test_a_task_without_development_items_stops_all(run: Run) -> None:
    """Before anything is swept, also where another task comes first."""
    message = "plan: expected tasks with development items for plan=auto .* got 'own_bare, which"
    with pytest.raises(InputError, match=message) as caught:
        run("own_three", "own_bare", **BUDGET)
    assert "give plan=FILE or neurons=" in str(caught.value)
    assert not (cache_dir() / "auto").exists()


def test_gates_as_asked(run: Run) -> None:
    """Boundaries that are given stay; a signal alone gets boundaries of its own or the paper's."""
    given = run("own_three", gate="target_prob", low=0.001, high=0.5, **BUDGET)["config"]["sna"]
    gate = load_plan(given["plan_file"]).tasks["own_three"].gate
    assert gate == Gate("target_prob", 0.001, 0.5)
    assert given["sees_answer"] is True
    upper = run("own_three", high=0.9, plan="auto", auto_budget=30)["config"]["sna"]
    gate = load_plan(upper["plan_file"]).tasks["own_three"].gate
    assert gate == Gate("max_prob", 0.30, 0.9)
    amplify = run("own_three", transition="amplify", **BUDGET)["config"]["sna"]
    gate = load_plan(amplify["plan_file"]).tasks["own_three"].gate
    assert (gate.signal, gate.transition, gate.mode) == ("max_prob", "amplify", "confidence")
    assert amplify["sees_answer"] is False


def test_gates_that_cannot_be(run: Run) -> None:
    with pytest.raises(InputError, match="gate: expected a gate that may open beside plan=auto"):
        run("own_three", gate="never", **BUDGET)
    with pytest.raises(InputError, match="auto_budget: expected a number of configurations"):
        run("own_three", plan="auto", auto_budget="soon")


def test_a_boundary_that_is_found_stands_in_the_plan(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is announced is what the plan holds."""
    results = run("own_three", plan="auto", auto_budget=30)
    said = capsys.readouterr().err
    gate = load_plan(results["config"]["sna"]["plan_file"]).tasks["own_three"].gate
    if "gate calibrated" in said:
        assert f"max_prob: low {gate.low:g}, high {gate.high:g} win" in said
    else:
        assert "the gate keeps its own boundaries: max_prob: no boundaries are kept" in said
        assert (gate.low, gate.high) == (0.30, 0.60)


@pytest.fixture
def chatting(checkpoint: Path, word_tokenizer: Any, tmp_path: Path) -> Path:
    """The tiny checkpoint with a chat template."""
    folder = tmp_path / "chatting"
    shutil.copytree(checkpoint, folder)
    tokenizer = copy.deepcopy(word_tokenizer)
    tokenizer.chat_template = "{% for m in messages %}[{{m.role}}] {{m.content}} {% endfor %}"
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("chat", [True, False])
def test_development_items_are_prompted_as_the_evaluated_ones(
    run: Run, chatting: Path, chat: bool
) -> None:
    """Where both splits hold the same items, the sweep's baseline is the evaluation's."""
    evaluating = {"apply_chat_template": chat, "system_instruction": "Say it in one word."}
    results = run("own_same", pretrained=str(chatting), evaluating=evaluating, **BUDGET)
    items = only_store().items().to_pandas()
    swept = items.drop_duplicates("item").set_index("item")["baseline_prob"]
    samples = results["samples"]["own_same"]
    assert ("[user]" in samples[0]["arguments"][0][0]) == chat
    assert "Say it in one word." in samples[0]["arguments"][0][0]
    assert len(swept) == len(samples) == 7
    for sample in samples:
        assert swept[sample["doc_id"]] == pytest.approx(sample["baseline_prob"], rel=1e-4)


def test_another_version_sweeps_anew(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache's folder was that of the old versions, and was refused: there was no way out."""
    from sna_eval.study.sweep import sweep

    run("own_three", gate="always", **BUDGET)
    monkeypatch.setattr(sweep, "versions", lambda *more: {"torch": "0"})
    run("own_three", gate="always", **BUDGET)
    folders = sorted((cache_dir() / "auto").iterdir())
    assert len(folders) == 2
    assert {SweepStore.load(folder).manifest["versions"]["torch"] for folder in folders} > {"0"}


def test_a_model_without_gradients_gets_a_smaller_grid(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Measured whole, and said so."""
    from sna_eval.neurons import first_order

    def none(*args: Any, **more: Any) -> Any:
        raise RuntimeError("element 0 of tensors does not require grad")

    monkeypatch.setattr(first_order.torch.autograd, "grad", none)
    run("own_three", gate="always", **BUDGET)
    said = capsys.readouterr().err
    assert "own_three: no gradients (element 0 of tensors" in said
    store = next(
        SweepStore.load(one) for one in (cache_dir() / "auto").iterdir()
        if "screen" not in SweepStore.load(one).manifest
    )  # fmt: skip
    assert set(store.configurations(predicted=True).column("source").to_pylist()) == {"measured"}
    assert store.configurations().num_rows <= BUDGET["auto_budget"]
