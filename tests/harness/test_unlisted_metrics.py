"""Metrics that `process_results` returns and `metric_list` does not name."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any

import pytest
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate

from sna_eval.harness.metric_names import METRICS, Improvement
from sna_eval.harness.metrics import classification_results, generation_results

HEAD = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/test.jsonl}}}}
test_split: test
"""
CHOICES = """
output_type: multiple_choice
doc_to_text: "{{text}}"
doc_to_choice: ["the end", "so on", "no"]
doc_to_target: label
process_results: !function sna_eval.harness.metrics.classification_results
"""
TARGETS = """
output_type: loglikelihood
doc_to_text: "{{text}}"
doc_to_target: " the mat"
process_results: !function sna_eval.harness.metrics.generation_results
"""
TASKS = {
    "labels": CHOICES + "metric_list: [{metric: acc}]\n",
    "labels_listed": CHOICES + "metric_list: [" + ", ".join(
        f"{{metric: {name}}}" for name in METRICS if "zone" in name or name == "baseline_acc"
    ) + ", {metric: acc}]\n",
    "words": TARGETS + "metric_list: [{metric: prob}]\n",
    "words_listed": TARGETS + "metric_list: [{metric: prob}, {metric: improvement_pct}]\n",
    "words_mine": TARGETS.replace("sna_eval.harness.metrics.generation_results", "mine.results")
    + "metric_list: [{metric: twice, aggregation: mean, higher_is_better: true}]\n",
    "labels_mutual": CHOICES + "metric_list: [{metric: acc}, {metric: acc_mutual_info}]\n",
}  # fmt: skip
MINE = """
from sna_eval.harness.metrics import generation_results


def results(doc, results):
    ours = generation_results(doc, results)
    return {"twice": 2 * ours["prob"], "improvement_pct": ours["improvement_pct"]}
"""
ACC = {"metric": "acc", "aggregation": "mean", "higher_is_better": True}
TEXTS = ["the cat sat on", "rain fell over", "a town while the", "on a mat", "the cat", "over and"]
PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 6.0, "low": 0.05, "high": 0.2}


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("unlisted")
    rows = [{"text": text, "label": n % 3} for n, text in enumerate(TEXTS)]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "mine.py").write_text(MINE)
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(HEAD.format(name=name, folder=folder) + text)
    manager = TaskManager(include_path=folder, include_defaults=False)
    return lambda name: manager.load([name])["tasks"][name]


def run(lm: Any, task: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    name = task.config.task
    got = evaluate(lm, {"tasks": {name: task}}, bootstrap_iters=100)
    return got["results"][name], got["samples"][name]


@pytest.fixture(scope="module", params=["sna", "hf"])
def lm(request: Any, make_sna: Any, make_hf: Any) -> Any:
    return make_sna(**PLAN, gate="margin") if request.param == "sna" else make_hf()


def test_values_by_zone(lm: Any, load: Any) -> None:
    results, samples = run(lm, load("labels"))
    counted = 0.0
    for zone in (1, 2, 3):
        inside = [sample for sample in samples if sample["zone"] == zone]
        assert results[f"n_zone{zone},none"] == len(inside)
        counted += results[f"n_zone{zone},none"]
        for name in ("acc", "baseline_acc"):
            found = results[f"{name}_zone{zone},none"]
            if inside:
                assert found == pytest.approx(sum(value[name] for value in inside) / len(inside))
            else:
                assert math.isnan(found)
        outside = [sample for sample in samples if sample["zone"] != zone]
        assert {one[f"acc_zone{zone}"] for one in outside} <= {None}
    assert counted == len(TEXTS)


@pytest.mark.parametrize("name", ["labels", "words"])
def test_listed_or_not_is_the_same(lm: Any, load: Any, name: str) -> None:
    if name == "words" and lm.__class__.__name__ == "SNALM":
        lm = lm.__class__(lm.model, tokenizer=lm.tokenizer, **{**PLAN, "gate": "always"})
    unlisted, _ = run(lm, load(name))
    listed, _ = run(lm, load(f"{name}_listed"))
    keys = [key for key in listed if key.partition(",")[0] in METRICS]
    assert len(keys) > 1
    for key in keys:
        assert unlisted[key] == pytest.approx(listed[key], nan_ok=True)
        filtered = key.replace(",", "_stderr,")
        assert unlisted[filtered] == listed[filtered]


@pytest.mark.parametrize("name", ["words", "words_mine"])
def test_a_percentage_is_that_of_the_means(make_sna: Any, load: Any, name: str) -> None:
    results, _ = run(make_sna(**PLAN, gate="always"), load(name))
    reference, samples = run(make_sna(**PLAN, gate="always"), load("words"))
    before, after = reference["baseline_prob,none"], reference["prob,none"]
    expected = (after - before) / before * 100
    assert results["improvement_pct,none"] == pytest.approx(expected)
    items = [sample["improvement_pct"] for sample in samples]
    assert expected != pytest.approx(sum(items) / len(items), rel=0.01)


def test_a_class_with_tables_of_its_own(make_sna: Any, load: Any) -> None:
    """It overrides `aggregation`, as SQuAD 2 does, and names none of our metrics."""

    class Labels(ConfigurableTask):
        def process_results(self, doc: Any, results: Any) -> Any:
            return classification_results(doc, results)

        def aggregation(self) -> Any:
            return {"acc": max}

        def higher_is_better(self) -> Any:
            return {"acc": False}

    plain = load("labels")
    kept = ("dataset_path", "dataset_kwargs", "output_type", "test_split", "doc_to_text")
    config = {key: getattr(plain.config, key) for key in (*kept, "doc_to_choice", "doc_to_target")}
    labels = Labels(config={**config, "task": "labels_class", "metric_list": [ACC]})
    expected, _ = run(make_sna(**PLAN, gate="margin"), plain)
    found, samples = run(make_sna(**PLAN, gate="margin"), labels)
    assert found["acc,none"] == max(sample["acc"] for sample in samples)
    for zone in (1, 2, 3):
        for name in (f"n_zone{zone},none", f"acc_zone{zone},none"):
            assert found[name] == pytest.approx(expected[name], nan_ok=True)


def test_mutual_information_asks_for_no_further_choice(lm: Any, load: Any) -> None:
    """The choices alone, with no context, are often likelier than all of the document's."""
    plain, _ = run(lm, load("labels"))
    mutual, _ = run(lm, load("labels_mutual"))
    for name in ("acc", "baseline_acc", "confidence", "zone"):
        assert mutual[f"{name},none"] == pytest.approx(plain[f"{name},none"], abs=1e-5)


def test_outside_an_evaluation_nothing_is_told_anyone() -> None:
    answers = [(-1.0, False), (-2.0, False)]
    assert classification_results({"label": 1}, answers)["acc"] == 0.0
    improvement = generation_results({}, [(-1.0, True)])["improvement_pct"]
    assert isinstance(improvement, Improvement)


def test_the_functions_make_the_names_known() -> None:
    """In a process that has loaded nothing else of this package, under any model."""
    code = (
        "import lm_eval.api.registry as r, sna_eval.harness.metrics\n"
        "assert r.get_metric_aggregation('improvement_pct') is not None\n"
    )
    environment = {**os.environ, "SNA_EVAL_NO_STARTUP": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
