"""Finished sweeps against plain hooks, against lm_eval itself, and against their own items."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.gating import SIGNALS, Gate
from sna_eval.harness.loading import load_lm
from sna_eval.intervention import Intervention, amplify
from sna_eval.neurons import Examples
from sna_eval.plan import (
    Plan,
    PlannedIntervention,
    Selection,
    TaskPlan,
    plan_fingerprint,
    resolve_task,
    save_plan,
)
from sna_eval.study.sweep import ScreenOptions, Sweep, SweepOptions, SweepStore, row_plan, run_sweep
from tests.study.plain import target_prob

TASKS = ("own_open", "own_labels", "own_choices")
KEY = ["task", "layer", "n_neurons", "multiplier", "direction"]
MakeSweep = Callable[..., Sweep]


def drawn(store: SweepStore, count: int, seed: int) -> list[dict[str, Any]]:
    """Configurations of a store, at random."""
    rows = store.configurations().to_pylist()
    return random.Random(seed).sample(rows, count)


def only_intervention(plan: Plan) -> Intervention:
    (task,) = plan.tasks.values()
    (entry,) = task.interventions
    neurons = tuple(index for one in (entry.neurons or {}).values() for index in one)
    return Intervention(entry.layer, neurons, entry.multiplier)


def asked(task: str, doc: dict[str, Any]) -> tuple[str, list[str], int]:
    """Context, choices and right answer of a document, as its YAML says."""
    if task == "own_open":
        return doc["text"], [f" {doc['answer']}"], 0
    if task == "own_labels":
        return f"{doc['text']} sounds", [" dull and grey", " bright"], doc["label"]
    return f"{doc['text']} and then", [f" {choice}" for choice in doc["choices"]], doc["gold"]


def test_thirty_configurations_equal_plain_hooks(
    store: SweepStore, lm: Any, load: Callable[..., Any]
) -> None:
    items = store.items().to_pandas()
    for row in drawn(store, 30, seed=0):
        docs = list(load(row["task"])[row["task"]].validation_docs())
        item = items[(items[KEY] == pd.Series({name: row[name] for name in KEY})).all(axis=1)]
        found = dict(zip(item["item"], item["amplified_prob"], strict=True))
        assert sorted(found) == list(range(len(docs)))
        before, after = [], []
        for number, doc in enumerate(docs):
            context, choices, gold = asked(row["task"], doc)
            before.append(target_prob(lm, context, choices[gold]))
            with amplify(lm.model, [only_intervention(row_plan(store, row))]):
                after.append(target_prob(lm, context, choices[gold]))
            assert found[number] == pytest.approx(after[-1], rel=1e-5, abs=1e-9)
        assert row["baseline_prob"] == pytest.approx(np.mean(before), rel=1e-5)
        assert row["amplified_prob"] == pytest.approx(np.mean(after), rel=1e-5)
        assert row["delta_prob"] == pytest.approx(np.mean(after) - np.mean(before), abs=1e-6)


def test_a_sweep_tells_of_every_configuration_once(sweep_of: MakeSweep) -> None:
    """In parts within a layer, so that a bar moves while a layer takes minutes."""
    sweep = sweep_of("own_choices", multipliers=(1.5, 3.0), tokens_per_pass=64)
    told: list[float] = []
    sweep.progress = told.append
    grid = sweep.subjects["own_choices"].grid
    assert len(list(sweep.compute("own_choices", grid.layers))) == len(grid.layers)
    assert sum(told) == pytest.approx(len(grid))
    assert max(told) < grid.per_layer / 2


@pytest.fixture(scope="module")
def test_store(sweep_of: MakeSweep, tmp_path_factory: pytest.TempPathFactory) -> SweepStore:
    """A finished sweep of test items, which lm_eval evaluates too."""
    sweep = sweep_of(*TASKS, split="test", multipliers=(1.5, 3.0))
    return run_sweep(sweep, tmp_path_factory.mktemp("test-store"), quiet=True)


def agrees(store: SweepStore, row: dict[str, Any], results: dict[str, Any]) -> None:
    """Every sample's probability and the task's accuracy are those of the row."""
    items = store.items().to_pandas()
    item = items[(items[KEY] == pd.Series({name: row[name] for name in KEY})).all(axis=1)]
    found = dict(zip(item["item"], item["amplified_prob"], strict=True))
    samples = results["samples"][row["task"]]
    assert len(samples) == len(found)
    for sample in samples:
        _, _, gold = asked(row["task"], sample["doc"])
        score = sample["filtered_resps"][gold][0]
        assert found[sample["doc_id"]] == pytest.approx(np.exp(score), abs=1e-6, rel=1e-4)
    if row["task"] != "own_open":
        assert row["acc"] == results["results"][row["task"]]["acc,none"]


def test_thirty_configurations_equal_lm_eval(
    test_store: SweepStore, lm: Any, load: Callable[..., Any], tmp_path: Path
) -> None:
    """Each row as a plan through lm_eval's evaluator."""
    from lm_eval.evaluator import evaluate

    from sna_eval.harness.lm import SNALM

    for row in drawn(test_store, 30, seed=1):
        save_plan(row_plan(test_store, row), tmp_path / "plan.yaml")
        sna = SNALM(lm.model, tokenizer=lm.tokenizer, plan=str(tmp_path / "plan.yaml"))
        tasks = {"tasks": load(row["task"]), "groups": {}, "group_map": {}}
        agrees(test_store, row, evaluate(sna, task_dict=tasks, bootstrap_iters=0))


def test_a_configuration_equals_simple_evaluate(
    test_store: SweepStore, checkpoint: Path, task_manager: Any, tmp_path: Path
) -> None:
    """The plan of a row as a user would run it; its fingerprint stands in both."""
    from lm_eval import simple_evaluate

    from sna_eval.harness.plugin.registration import register

    register()
    (row,) = drawn(test_store, 1, seed=2)
    plan = row_plan(test_store, row)
    assert plan_fingerprint(plan) == row["plan_fingerprint"]
    save_plan(plan, tmp_path / "plan.yaml")
    results = simple_evaluate(
        model="sna",
        model_args={"pretrained": str(checkpoint), "plan": str(tmp_path / "plan.yaml")},
        tasks=[row["task"]],
        task_manager=task_manager,
        bootstrap_iters=0,
    )
    assert results["config"]["sna"]["plan_fingerprint"] == row["plan_fingerprint"]
    agrees(test_store, row, results)


@pytest.mark.parametrize("direction", ["both", "predicted", "gold", "bright"])
def test_directions_equal_lm_eval(
    checkpoint: Path, sweep_of: MakeSweep, load: Callable[..., Any], tmp_path: Path, direction: str
) -> None:
    from lm_eval.evaluator import evaluate

    sweep = sweep_of(
        "own_labels",
        split="test",
        layers=(1,),
        directions=("both", "predicted", "gold", "bright"),
        allow_oracle=True,
    )
    swept = run_sweep(sweep, tmp_path / "store", quiet=True)
    rows = [r for r in swept.configurations().to_pylist() if r["direction"] == direction]
    row = rows[-1]
    assert all(row["oracle"] == (direction == "gold") for row in rows)
    save_plan(row_plan(swept, row), tmp_path / "plan.yaml")
    amplified = load_lm(f"pretrained={checkpoint},plan={tmp_path / 'plan.yaml'}")
    loaded = {"tasks": load("own_labels"), "groups": {}, "group_map": {}}
    results = evaluate(amplified, task_dict=loaded, bootstrap_iters=0)
    items = swept.items().to_pandas()
    table = items[(items["direction"] == direction) & (items["multiplier"] == row["multiplier"])]
    table = table[table["n_neurons"] == row["n_neurons"]].set_index("item")
    for sample in results["samples"]["own_labels"]:
        gold = sample["doc"]["label"]
        prob = np.exp(sample["filtered_resps"][gold][0])
        assert table["amplified_prob"][sample["doc_id"]] == pytest.approx(prob, rel=1e-4, abs=1e-7)
    assert row["acc"] == results["results"]["own_labels"]["acc,none"]


def test_rows_are_means_of_their_items(store: SweepStore) -> None:
    rows = store.configurations().to_pandas().set_index(KEY).sort_index()
    items = store.items().to_pandas()
    groups = items.groupby(KEY)
    means = groups[["baseline_prob", "amplified_prob"]].mean().reindex(rows.index)
    for name in means:
        np.testing.assert_allclose(rows[name], means[name], rtol=1e-12)
    ratio = (means["amplified_prob"] / means["baseline_prob"] - 1) * 100
    np.testing.assert_allclose(rows["improvement_pct"], ratio, rtol=1e-9, atol=1e-9)
    labelled = items[items["task"] == "own_labels"]
    for zone in (1, 2, 3):
        inside = labelled[labelled["zone"] == zone].groupby(KEY)["amplified_correct"]
        counts = inside.size().reindex(rows.loc[["own_labels"]].index, fill_value=0)
        assert (rows.loc["own_labels", f"n_zone{zone}"].to_numpy() == counts.to_numpy()).all()
        expected = inside.mean().astype(float).reindex(rows.loc[["own_labels"]].index)
        np.testing.assert_allclose(rows.loc["own_labels", f"acc_zone{zone}"], expected)
    assert rows.loc["own_open", ["acc", "baseline_acc", "acc_zone1"]].isna().all(axis=None)


def test_zones_are_those_of_the_gate(store: SweepStore) -> None:
    items = store.items().to_pandas()
    for task, (low, high) in {"own_open": (0.07, 0.10), "own_labels": (0.30, 0.60)}.items():
        sample = items[items["task"] == task]
        assert (
            sample["zone"] == 1 + (sample["confidence"] >= low) + (sample["confidence"] > high)
        ).all()
    opened = items[items["task"] == "own_open"]
    np.testing.assert_allclose(opened["confidence"], opened["baseline_prob"])


def test_what_changes_nothing_has_no_effect(sweep_of: MakeSweep, tmp_path: Path) -> None:
    """A multiplier of 1 gives the baseline to the last bit, not to rounding."""
    swept = run_sweep(sweep_of("own_open", layers=(1,)), tmp_path, quiet=True)
    rows = swept.configurations().to_pandas()
    assert (rows["delta_prob"] == 0).tolist() == (rows["multiplier"] == 1.0).tolist()


def test_where_no_neuron_responds_nothing_changes(sweep_of: MakeSweep, tmp_path: Path) -> None:
    """Neutral text that every neuron responds to more than to the task leaves none to amplify."""
    sweep = sweep_of("own_open", layers=(0, 1))
    loud = {layer: torch.full((128,), 1e6, dtype=torch.float64) for layer in (0, 1)}
    sweep.search("own_open").observed.__dict__["neutral"] = loud
    swept = run_sweep(sweep, tmp_path, quiet=True)
    assert swept.neurons().num_rows == 0
    rows = swept.configurations().to_pylist()
    assert [row["delta_prob"] for row in rows] == [0.0] * 12
    assert plan_fingerprint(row_plan(swept, rows[3])) == rows[3]["plan_fingerprint"]


def test_the_search_for_neurons_has_a_bar(
    sweep_of: MakeSweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sweep(sweep_of("own_open", layers=(1,)), tmp_path / "loud")
    said = capsys.readouterr().err
    assert "Searching neurons" in said
    assert "own_open" in said
    run_sweep(sweep_of("own_open", layers=(1,)), tmp_path / "quiet", quiet=True)
    assert "Searching" not in capsys.readouterr().err


@pytest.mark.parametrize("screen", [None, ScreenOptions(verify=1.0, sample=1.0)])
def test_heads_equal_lm_eval(
    lm: Any, sweep_of: MakeSweep, load: Any, tmp_path: Path, screen: ScreenOptions | None
) -> None:
    """Configurations of a sweep by attention heads, as lm_eval scores their plans."""
    from lm_eval.evaluator import evaluate

    sweep = sweep_of(
        "own_choices", unit="head", n_neurons=(1, 2), multipliers=(0.98, 3.0), split="test",
        screen=screen,
    )  # fmt: skip
    heads = run_sweep(sweep, tmp_path / "heads", quiet=True)
    assert heads.manifest["unit"] == "head"
    rows = heads.configurations().to_pylist()
    assert len(rows) == 3 * 4
    for row in rows[1::3]:
        plan = row_plan(heads, row)
        assert plan.tasks["own_choices"].interventions[0].unit == "head"
        assert plan_fingerprint(plan) == row["plan_fingerprint"]
        with lm.under(plan):
            loaded = {"tasks": load("own_choices"), "groups": {}, "group_map": {}}
            agrees(heads, row, evaluate(lm, task_dict=loaded, bootstrap_iters=0))
    effects = [row["amplified_prob"] / row["baseline_prob"] - 1 for row in rows]
    assert max(map(abs, effects)) > 1e-3
    if screen is not None:
        small = [row for row in rows if row["multiplier"] == 0.98]
        predicted = [row["predicted_prob"] - row["baseline_prob"] for row in small]
        measured = [row["amplified_prob"] - row["baseline_prob"] for row in small]
        np.testing.assert_allclose(predicted, measured, atol=0.05 * max(map(abs, measured)))


def test_a_layer_of_few_heads_has_fewer_counts(sweep_of: MakeSweep) -> None:
    asked = sweep_of("own_open", unit="head", n_neurons=None)
    assert asked.subjects["own_open"].grid.n_neurons == (1, 2), (
        "as many again are left for a control"
    )
    with pytest.raises(InputError, match="n_neurons: expected at most 4, the heads of a layer"):
        _ = sweep_of("own_open", unit="head").subjects


def test_items_driven_to_infinity_keep_their_baseline(sweep_of: MakeSweep, tmp_path: Path) -> None:
    sweep = sweep_of("own_labels", layers=(0,), multipliers=(2.0, 1e38))
    swept = run_sweep(sweep, tmp_path, quiet=True)
    items = swept.items().to_pandas()
    lost = items[items["multiplier"] == 1e38]
    assert (lost["amplified_prob"] == lost["baseline_prob"]).all()
    kept = items[items["multiplier"] == 2.0]
    assert (kept["amplified_prob"] != kept["baseline_prob"]).all()


def test_defaults_by_kind_of_task(sweep_of: MakeSweep) -> None:
    sweep = sweep_of(*TASKS, n_neurons=None, multipliers=None)
    assert [subject.method for subject in sweep.subjects.values()] == [
        "differential",
        "contrastive",
        "differential",
    ]
    assert [len(subject.grid) for subject in sweep.subjects.values()] == [3 * 84, 3 * 12, 3 * 84]
    assert sweep.subjects["own_labels"].gate.signal == "margin"
    assert sweep.subjects["own_open"].gate.signal == "target_prob"


def test_gates_of_a_plan(sweep_of: MakeSweep, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        "version: 1\ntasks: {own_open: {gate: {signal: max_prob, low: 0.2, high: 0.4}, "
        "interventions: [{layer: 0, multiplier: 2.0, neurons: [1]}]}}"
    )
    sweep = sweep_of("own_open", layers=(0,), plan=str(path))
    gate = sweep.subjects["own_open"].gate
    assert (gate.signal, gate.low, gate.high) == ("max_prob", 0.2, 0.4)
    items = run_sweep(sweep, tmp_path / "s", quiet=True).items().to_pandas()
    assert (items["confidence"] > items["baseline_prob"]).all()


@pytest.mark.parametrize("select", ["attribution", "gradient", "random"])
def test_other_selections(sweep_of: MakeSweep, tmp_path: Path, select: Any) -> None:
    swept = run_sweep(sweep_of("own_open", layers=(0,), select=select), tmp_path, quiet=True)
    rows = swept.configurations().to_pylist()
    assert {row["select"] for row in rows} == {select}
    assert f'"method": "{select}"' in rows[0]["found"]
    assert plan_fingerprint(row_plan(swept, rows[-1])) == rows[-1]["plan_fingerprint"]


def test_neurons_of_pairs_without_universal_ones(sweep_of: MakeSweep, tmp_path: Path) -> None:
    """As a plan that says so finds them; the store's plans say how."""
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"positive": "one and two", "negative": "the sea"}\n' * 2)
    asked: dict[str, Any] = {"layers": (1,), "n_neurons": (3,), "multipliers": (2.0,)}
    sweep = sweep_of("own_open", prompts=str(path), drop_universal=True, **asked)
    store = run_sweep(sweep, tmp_path / "store", quiet=True)
    (row,) = store.configurations().to_pylist()
    (entry,) = row_plan(store, row).tasks["own_open"].interventions
    select = Selection(top_k=3, prompts=str(path), drop_universal=True)
    planned = TaskPlan(Gate(), (PlannedIntervention(1, 2.0, select=select),))
    (expected,) = resolve_task(planned, sweep.lm.bench, lambda most: Examples(())).interventions
    assert entry.neurons == expected.neurons
    assert entry.found is not None
    assert (entry.found.prompts, entry.found.reference) == ("pairs.jsonl", "negative")
    manifest = store.manifest
    assert (manifest["prompts"], manifest["universal"]["prompts"]) == ("pairs.jsonl", "bundled")
    with pytest.raises(InputError, match="select: expected a ranking that compares two kinds"):
        _ = sweep_of("own_open", prompts=str(path), select="attribution", **asked).subjects


def test_other_right_answers_are_another_sweep(sweep_of: MakeSweep) -> None:
    """Where neurons are ranked by them; prompts and swept items are the same."""

    def described(select: Any, *, right: int) -> dict[str, Any]:
        sweep = sweep_of("own_choices", select=select, split="test")
        entry = sweep.subjects["own_choices"]
        asked = tuple(replace(question, right=right) for question in entry.examples.questions)
        examples = replace(entry.examples, questions=asked)
        sweep.subjects["own_choices"] = replace(entry, examples=examples)
        manifest = sweep.manifest()
        return {**manifest["tasks"]["own_choices"], "sweep": manifest["plan_fingerprint"]}

    first, second = (described("attribution", right=right) for right in (0, 1))
    assert {key for key in first if first[key] != second[key]} == {"answer_hash", "sweep"}
    assert described("random", right=0) == described("random", right=1)


@pytest.mark.parametrize(("name", "value"), [("_max_length", 16), ("softmax_dtype", torch.float64)])
def test_another_window_or_precision_is_another_sweep(
    sweep_of: MakeSweep, lm: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    name: str, value: Any,
) -> None:  # fmt: skip
    """Texts and weights are the same, and one folder held units of both."""
    run_sweep(sweep_of("own_open", layers=(0,)), tmp_path, quiet=True)
    monkeypatch.setattr(lm, name, value)
    with pytest.raises(InputError, match=name.strip("_")):
        run_sweep(sweep_of("own_open", layers=(0,)), tmp_path, quiet=True)


def test_a_gate_that_is_always_open_has_the_zones_of_what_it_measures(
    sweep_of: MakeSweep, tmp_path: Path
) -> None:
    """Its signal is the items' own; the manifest named another, with that one's boundaries."""
    path = tmp_path / "plan.yaml"
    path.write_text(
        "version: 1\ntasks: {own_labels: {gate: always, "
        "interventions: [{layer: 0, multiplier: 2.0, neurons: [1]}]}}"
    )
    gate = sweep_of("own_labels", layers=(0,), plan=str(path)).subjects["own_labels"].gate
    assert gate == Gate.by(SIGNALS["margin"], mode="always")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"split": "train"}, "split: expected one of development, test, got 'train'"),
        ({"select": "best"}, "select: expected one of differential, absolute, attribution"),
        ({"pooling": "max"}, "pooling: expected one of mean, last, got 'max'"),
        ({"limit": 0}, "limit: expected at least 1, got 0"),
        ({"max_prompts": 0}, "max_prompts: expected at least 1, got 0"),
        ({"sinks": "half"}, "sinks: expected one of drop, keep, got 'half'"),
        ({"tokens_per_pass": 0}, "tokens_per_pass: expected at least 1, got 0"),
    ],
)
def test_impossible_options(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SweepOptions(**values)


def test_a_gate_that_is_handed_over_open_has_the_items_own_signal(
    sweep_of: Callable[..., Any],
) -> None:
    """Zones of items went by one signal's bounds, and the task's zone by another's."""
    sweep = sweep_of("own_open", "own_labels", gate=Gate("max_prob", 0.3, 0.6, mode="always"))
    gates = {name: subject.gate for name, subject in sweep.subjects.items()}
    assert (gates["own_open"].signal, gates["own_open"].low) == ("target_prob", 0.07)
    assert (gates["own_labels"].signal, gates["own_labels"].low) == ("margin", 0.3)
    assert {gate.mode for gate in gates.values()} == {"always"}


def test_unconditional_requests_say_nothing_of_confidence(
    lm: Any, load: Callable[..., Any], tmp_path: Path
) -> None:
    """What comes after nothing at all was averaged with what comes after the prompt."""
    found = []
    for mutual in (False, True):
        tasks = load("own_choices")
        if mutual:  # every choice is asked for once more, without its context
            tasks["own_choices"]._metric_fn_list["acc_mutual_info"] = None
        options = SweepOptions(
            tasks=("own_choices",), layers=(1,), n_neurons=(2,), multipliers=(2.0,),
            gate=Gate("max_prob", 0.3, 0.6),
        )  # fmt: skip
        sweep = Sweep(options, lm=lm, tasks=tasks)
        store = run_sweep(sweep, tmp_path / str(mutual), quiet=True)
        requests = [len(item.requests) for item in sweep.subjects["own_choices"].items.items]
        assert set(requests) == {6 if mutual else 3}
        found.append(store.items().to_pandas()["confidence"].tolist())
    assert found[0] == pytest.approx(found[1], abs=1e-6)
