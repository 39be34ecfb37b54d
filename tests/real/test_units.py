"""Heads, features and rankings on real weights: screened sweeps, `methods`, lm_eval and exports.

What they say is held against plain hooks, on small tasks, so that a few short passes do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from real_models import bring
from sna_eval.export import Source, export_plan
from sna_eval.gating import Gate
from sna_eval.harness.lm import SNALM
from sna_eval.harness.loading import load_tasks
from sna_eval.intervention import find_sites
from sna_eval.plan import (
    Plan,
    PlannedIntervention,
    Selection,
    TaskPlan,
    parse_plan,
    save_plan,
)
from sna_eval.study.methods import MethodsOptions, Variant, measure_methods
from sna_eval.study.methods.task_methods import TaskMethods
from sna_eval.study.sweep import ScreenOptions, Sweep, SweepOptions, run_sweep
from tests.intervention.dictionaries import write_sae_lens
from tests.intervention.plain_units import amplified, log_probs
from tests.study.units.cells import CELLS as EVERY
from tests.study.units.cells import plan_of

NAME, LAYER = "tens", 9
TOLERANCE = 1e-5
"""On log-probabilities in float64; in float32 two batch sizes of `hf` differ by ten times that."""
WORDS = ["ten", "twenty", "thirty", "forty", "fifty", "sixty"]
TASK = """
task: tens
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {folder}/dev.jsonl, test: {folder}/test.jsonl}}}}
output_type: loglikelihood
validation_split: validation
test_split: test
doc_to_text: "{{{{text}}}}"
doc_to_target: " {{{{answer}}}}"
metric_list: [{{metric: acc}}]
"""
LABELLED = """
include: {folder}/tens.yaml
task: kinds
dataset_kwargs: {{data_files: {{validation: {folder}/kinds.jsonl, test: {folder}/kinds.jsonl}}}}
output_type: multiple_choice
doc_to_text: "{{{{text}}}} and"
doc_to_choice: [" ten", " red"]
doc_to_target: label
"""
KINDS = [("one, two,", 0), ("green, blue,", 1), ("five, nine,", 0), ("white, black,", 1)]
PAIRS = [("3 + 4 =", "The fox ran"), ("Nine less two is", "In the evening"), ("Count:", "Dear")]
CELLS = ("mlp-gradient", "mlp-attribution", "mlp-cna", "head-gradient", "feature-gradient")
SWEPT = {
    "smollm2": {"mlp-attribution", "mlp-cna", "head-gradient"},
    "gemma3": {"mlp-attribution", "head-gradient", "feature-gradient"},
}
COMPARED = {"smollm2": {"head-gradient"}, "gemma3": {"feature-gradient"}}
"""Those that are tried by default; the others take as long again, and are `slow`."""
QUICK = MethodsOptions(random_draws=1, draws=20, tried=1)
ROWS = (Variant("sna", "sna"), Variant("random_neurons", "random_neurons"))


def cells(usual: dict[str, set[str]]) -> list[Any]:
    return [
        pytest.param(
            model, cell, id=f"{model}-{cell}",
            marks=() if cell in usual[model] else pytest.mark.slow,
        )
        for model in usual
        for cell in CELLS
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task and the pairs."""
    folder = tmp_path_factory.mktemp("tens")
    docs = [
        {"text": f"{before}, {word},", "answer": after}
        for before, word, after in zip(WORDS, WORDS[1:], WORDS[2:], strict=False)
    ]
    for split, part in (("dev", docs), ("test", docs[:2])):
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, part)))
    kinds = [json.dumps({"text": text, "label": label}) for text, label in KINDS]
    (folder / "kinds.jsonl").write_text("\n".join(kinds))
    (folder / "tens.yaml").write_text(TASK.format(folder=folder))
    (folder / "kinds.yaml").write_text(LABELLED.format(folder=folder))
    lines = [json.dumps({"positive": first, "negative": second}) for first, second in PAIRS]
    (folder / "pairs.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def one_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(one_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for all tests here: what was tried on a model is not tried again."""
    monkeypatch.setenv("SNA_EVAL_CACHE", str(one_cache))


@pytest.fixture(scope="module")
def lm_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """A model with a dictionary of features, random as it is."""

    @lru_cache(maxsize=1)  # one model at a time
    def get(name: str) -> Any:
        model = bring(name)
        width = json.loads((model / "config.json").read_text())["hidden_size"]
        folder = tmp_path_factory.mktemp("sae")
        write_sae_lens(folder, width, f"blocks.{LAYER}.hook_resid_post")
        return SNALM(
            AutoModelForCausalLM.from_pretrained(model, dtype=torch.float64).eval(),
            tokenizer=AutoTokenizer.from_pretrained(model), batch_size=8, gate="never",
            dictionary=str(folder),
        )  # fmt: skip

    return get


def asked(tasks: dict[str, Any], split: str, lm: Any) -> list[float]:
    """Log-probabilities of a split's answers, by plain passes."""
    docs = list(getattr(tasks[NAME], f"{split}_docs")())
    return log_probs(lm, [(doc["text"], f" {doc['answer']}") for doc in docs])


@pytest.mark.parametrize(("model", "cell"), cells(SWEPT))
def test_a_screened_sweep_equals_plain_hooks(
    lm_of: Callable[[str], Any], model: str, cell: str, folder: Path, tmp_path: Path
) -> None:
    """`cna` layer by layer: by its ranking, on its pairs, without universal neurons."""
    lm, (unit, ranking) = lm_of(model), cell.split("-")
    tasks = load_tasks([NAME], include_path=str(folder))
    how: dict[str, Any] = {"select": ranking}
    if ranking == "cna":
        how = {
            "select": "absolute", "pooling": "last", "drop_universal": True,
            "prompts": str(folder / "pairs.jsonl"),
        }  # fmt: skip
    options = SweepOptions(
        tasks=(NAME,), unit=unit, layers=(LAYER,), n_neurons=(2,), multipliers=(1.5, 3.0),
        screen=ScreenOptions(verify=1.0, sample=1.0), **how,
    )  # fmt: skip
    store = run_sweep(Sweep(options, lm=lm, tasks=tasks), tmp_path, quiet=True)
    chosen = tuple(store.neurons().to_pandas()["neuron"])
    items = store.items().to_pandas()
    assert store.configurations().column("source").to_pylist() == ["measured"] * 2
    for multiplier, rows in items.groupby("multiplier"):
        entry = PlannedIntervention(LAYER, multiplier, unit=unit, neurons={"": chosen})
        with amplified(lm.model, [entry]):
            after = np.array(asked(tasks, "validation", lm))[list(rows["item"])]
        np.testing.assert_allclose(np.log(rows["amplified_prob"]), after, atol=TOLERANCE)
    assert np.log(items["amplified_prob"] / items["baseline_prob"]).abs().max() > 1e-3


@pytest.mark.parametrize(("model", "cell"), cells(COMPARED))
def test_the_plans_row_of_methods_equals_plain_hooks(
    lm_of: Callable[[str], Any], model: str, cell: str, folder: Path
) -> None:
    lm, (unit, ranking) = lm_of(model), cell.split("-")
    tasks = load_tasks([NAME], include_path=str(folder))
    if ranking == "cna":
        select = Selection(
            "absolute", pooling="last", across_layers=True, share=0.001, drop_universal=True,
            prompts=str(folder / "pairs.jsonl"),
        )  # fmt: skip
        entry = PlannedIntervention(0, 2.0, method="cna", select=select)
    else:
        select = Selection(ranking, top_k=2)
        entry = PlannedIntervention(LAYER, 3.0, unit=unit, select=select)
    plan = TaskPlan(Gate(mode="always"), (entry,))
    found = TaskMethods(lm, NAME, tasks[NAME], plan, QUICK, None, quiet=True).base
    with lm.under(Plan({NAME: found})):
        own, control = measure_methods(lm, tasks, ROWS, QUICK, quiet=True).rows
    assert (own.method, control.method) == ("sna", "random_neurons")
    assert own.baseline == pytest.approx(np.exp(asked(tasks, "test", lm)).mean(), rel=TOLERANCE)
    with amplified(lm.model, found.interventions):
        after = np.exp(asked(tasks, "test", lm)).mean()
    assert own.amplified == pytest.approx(after, rel=TOLERANCE)
    assert abs(own.amplified / own.baseline - 1) > 1e-3
    assert np.isfinite([control.amplified, own.specific, own.p_random, own.kl]).all()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["smollm2", "gemma3"])
def test_lm_eval_scores_every_cell_as_hooks_do(model: str, folder: Path, tmp_path: Path) -> None:
    """A copy of a task for each cell, all in one run; two of the plans that were found as
    checkpoints as well."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from sna_eval.harness.plugin.registration import register

    register()
    weights = bring(model)
    width = json.loads((weights / "config.json").read_text())["hidden_size"]
    write_sae_lens(tmp_path / "sae", width, f"blocks.{LAYER}.hook_resid_post")
    for cell in EVERY:
        task = "kinds" if cell.endswith("contrastive") else NAME
        (tmp_path / f"{cell}.yaml").write_text(f"include: {folder}/{task}.yaml\ntask: {cell}\n")
    planned = {cell: plan_of(cell, folder / "pairs.jsonl", LAYER) for cell in EVERY}
    save_plan(Plan(planned), tmp_path / "plan.yaml")
    results = simple_evaluate(
        model="sna",
        model_args={
            "pretrained": str(weights), "dtype": "float64", "plan": str(tmp_path / "plan.yaml"),
            "dictionary": str(tmp_path / "sae"),
        },
        tasks=list(EVERY), device="cpu", batch_size=4, limit=2, bootstrap_iters=0,
        task_manager=TaskManager(include_path=tmp_path, include_defaults=False),
    )  # fmt: skip
    said = results["config"]["sna"]["tasks"]
    keys = ("gate", "interventions")
    plans = parse_plan(
        {"version": 1, "tasks": {cell: {key: said[cell][key] for key in keys} for cell in EVERY}}
    ).tasks
    plain = SimpleNamespace(
        model=AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float64).eval(),
        tokenizer=AutoTokenizer.from_pretrained(weights),
    )
    differences, moved = {}, {}
    for cell in EVERY:
        samples = results["samples"][cell]
        pairs = [tuple(arguments) for sample in samples for arguments in sample["arguments"]]
        answers = np.array([answer[0][0] for sample in samples for answer in sample["resps"]])
        before = log_probs(plain, pairs)
        with amplified(plain.model, plans[cell].interventions):
            expected = log_probs(plain, pairs)
        differences[cell] = np.abs(answers - expected).max()
        moved[cell] = np.abs(np.subtract(expected, before)).max()
        if cell in ("mlp-cna", "head-gradient"):
            source = Source(
                plain.model, plain.tokenizer, find_sites(plain.model), cell, plans[cell],
                str(weights),
            )  # fmt: skip
            merged = export_plan(source, tmp_path / f"merged-{cell}", format="merged")
            loaded = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float64).eval()
            served = SimpleNamespace(model=loaded, tokenizer=plain.tokenizer)
            apart = np.abs(answers - log_probs(served, pairs)).max()
            differences[f"{cell}, merged"] = apart
    assert {cell: apart for cell, apart in differences.items() if apart > TOLERANCE} == {}
    assert {cell: by for cell, by in moved.items() if by < 100 * TOLERANCE} == {}
