"""Documents with a single choice, among others with several: there is nothing to decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.tasks import TaskManager

from sna_eval.errors import InputError
from sna_eval.study.sweep import Sweep, SweepOptions

WORDS = ["the cat", "a mat", "the rain", "a town"]
COUNTS = (3, 1, 2, 1, 4, 1)
SINGLE = [number for number, count in enumerate(COUNTS) if count == 1]
YAML = """
task: own_single
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: multiple_choice
test_split: test
validation_split: validation
doc_to_text: "{{{{text}}}} over"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: label
{more}
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""
OURS = "process_results: !function sna_eval.harness.metrics.classification_results"
PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 6.0}


def task_of(folder: Path, more: str = "") -> Any:
    for split in ("test", "dev"):
        docs = [
            {"text": f"{WORDS[number % 4]} sat", "choices": WORDS[:count], "label": 0}
            for number, count in enumerate(COUNTS)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, docs)))
    (folder / "own_single.yaml").write_text(YAML.format(folder=folder, more=more))
    manager = TaskManager(include_path=[folder], include_defaults=False)
    return manager.load(["own_single"])


def run(lm: Any, loaded: Any) -> tuple[Any, list[Any]]:
    from lm_eval.evaluator import evaluate

    results = evaluate(lm=lm, task_dict=loaded, bootstrap_iters=0)
    samples = sorted(results["samples"]["own_single"], key=lambda sample: sample["doc_id"])
    return results["results"]["own_single"], samples


def evidence(sample: Any) -> Any:
    return sample["resps"][0][0][0].evidence


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("low", "high"), [(0.3, 0.6), (2.0, 3.0)])
def test_zone_three_by_definition(
    make_sna: Any, tmp_path: Path, low: float, high: float, strict: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Whatever the bounds; counted, and said once."""
    lm = make_sna(**PLAN, gate="margin", low=low, high=high, strict=strict)
    _, samples = run(lm, task_of(tmp_path))
    for number, sample in enumerate(samples):
        known = evidence(sample)
        if number in SINGLE:
            assert (known.zone, known.confidence, known.amplified) == (3, 1.0, False)
        else:
            assert known.amplified == (known.confidence < low)
    counted = lm.describe()["tasks"]["own_single"]
    assert counted["single_choice"] == len(SINGLE)
    assert counted["zones"]["3"] >= len(SINGLE)
    said = [record.message for record in caplog.records if "single choice" in record.message]
    assert said == [
        "3 documents of own_single have a single choice: there is nothing to decide, and between "
        "choices they count as zone 3"
    ]


@pytest.mark.parametrize("gate", ["always", "never"])
def test_zones_that_are_only_reported(make_sna: Any, tmp_path: Path, gate: str) -> None:
    _, samples = run(make_sna(**PLAN, gate=gate), task_of(tmp_path))
    for number in SINGLE:
        known = evidence(samples[number])
        assert (known.zone, known.amplified) == (3, gate == "always")


@pytest.mark.parametrize("gate", ["target_prob", "max_prob"])
def test_other_signals_are_measured_as_ever(make_sna: Any, tmp_path: Path, gate: str) -> None:
    _, samples = run(make_sna(**PLAN, gate=gate, low=0.0, high=0.0), task_of(tmp_path))
    assert all(0 < evidence(samples[number]).confidence < 1 for number in SINGLE)


@pytest.mark.parametrize("model", ["sna", "hf"])
def test_the_bundled_classification_metrics(
    make_sna: Any, make_hf: Any, tmp_path: Path, model: str
) -> None:
    lm = make_hf() if model == "hf" else make_sna(**PLAN, gate="margin")
    _, samples = run(lm, task_of(tmp_path, OURS))
    for number in SINGLE:
        assert (samples[number]["zone"], samples[number]["confidence"]) == (3.0, 1.0)
        assert samples[number]["acc"] == samples[number]["baseline_acc"] == 1.0


def test_mutual_information_asks_twice_for_one_choice(make_sna: Any, tmp_path: Path) -> None:
    loaded = task_of(tmp_path)
    text = (tmp_path / "own_single.yaml").read_text()
    (tmp_path / "own_single.yaml").write_text(text.replace("acc_norm", "acc_mutual_info"))
    loaded = TaskManager(include_path=[tmp_path], include_defaults=False).load(["own_single"])
    _, samples = run(make_sna(**PLAN, gate="margin"), loaded)
    assert [evidence(samples[number]).zone for number in SINGLE] == [3] * len(SINGLE)


def test_open_questions_have_no_margin_still(make_sna: Any, evaluate: Any) -> None:
    with pytest.raises(InputError, match="expected a signal for tasks with one continuation"):
        evaluate(make_sna(**PLAN, gate="margin"), ["sna_math_easy"])


def test_a_sweep_goes_by_them_too(make_sna: Any, tmp_path: Path) -> None:
    """`plan=auto` is a sweep: its first item may be one of them."""
    task = task_of(tmp_path)["tasks"]["own_single"]
    options = SweepOptions(tasks=("own_single",), layers=(2,), n_neurons=(3,), multipliers=(2.0,))
    subject = Sweep(options, lm=make_sna(gate="never"), tasks={"own_single": task}).subjects
    items = subject["own_single"].items.items
    assert [item.alone for item in items] == [count == 1 for count in COUNTS]
    assert subject["own_single"].gate.signal == "margin"
