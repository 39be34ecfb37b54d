"""Class-directed interventions: which label's neurons act on which document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.plan import load_plan
from tests.harness.conftest import answers, flat_numbers

PLAN = """
version: 1
tasks:
  sna_sst2:
    gate: {{mode: {mode}, signal: margin}}
    interventions:
      - layer: 2
        multiplier: 8.0
        direction: {direction}
        allow_oracle: {oracle}
        neurons: {{negative: [1, 5, 7], positive: [2, 9, 11]}}
"""
SETS = {"negative": "1;5;7", "positive": "2;9;11"}


@pytest.fixture(autouse=True)
def local_sst2(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNA_EVAL_SST2", str(shared_data / "sst2"))


@pytest.fixture
def run(evaluate: Any, make_sna: Any, tmp_path: Path) -> Any:
    def call(direction: str, *, oracle: bool = False, mode: str = "always") -> Any:
        path = tmp_path / f"{direction}.yaml"
        text = PLAN.format(direction=direction, oracle=str(oracle).lower(), mode=mode)
        path.write_text(text)
        lm = make_sna(plan=str(path))
        return evaluate(lm, ["sna_sst2"], limit=12), lm

    return call


@pytest.fixture(scope="module")
def inline(evaluate: Any, make_sna: Any, shared_data: Path) -> Any:
    """The same neurons given as an inline plan, one label at a time."""

    def call(neurons: str) -> Any:
        lm = make_sna(layer=2, neurons=neurons, multiplier=8.0, gate="always")
        return evaluate(lm, ["sna_sst2"], limit=12)

    return call


def by_doc(results: Any) -> dict[int, Any]:
    return {sample["doc_id"]: sample for sample in results["samples"]["sna_sst2"]}


def test_a_label_amplifies_its_own(run: Any, inline: Any) -> None:
    got, _ = run("negative")
    assert flat_numbers(answers(got)) == pytest.approx(flat_numbers(answers(inline("1;5;7"))))


def test_both_amplifies_all(run: Any, inline: Any) -> None:
    got, _ = run("both")
    expected = answers(inline("1;5;7;2;9;11"))
    assert flat_numbers(answers(got)) == pytest.approx(flat_numbers(expected))


@pytest.mark.parametrize("direction", ["gold", "predicted"])
def test_gold_and_predicted_follow_the_document(run: Any, inline: Any, direction: str) -> None:
    got, lm = run(direction, oracle=direction == "gold")
    baseline = by_doc(run("both", mode="never")[0])
    alone = {label: by_doc(inline(neurons)) for label, neurons in SETS.items()}
    seen = set()
    for number, sample in by_doc(got).items():
        lls = [response[0][0] for response in baseline[number]["resps"]]
        chosen = sample["doc"]["label"] if direction == "gold" else lls.index(max(lls))
        label = ("negative", "positive")[chosen]
        seen.add(label)
        expected = alone[label][number]["resps"]
        assert flat_numbers(sample["resps"]) == pytest.approx(flat_numbers(expected), abs=1e-6)
    assert lm.describe()["sees_answer"] is (direction == "gold")
    if direction == "gold":
        assert seen == {"negative", "positive"}


def test_gold_needs_permission(run: Any) -> None:
    with pytest.raises(InputError, match="set `allow_oracle: true`"):
        run("gold")


def test_unknown_labels(run: Any) -> None:
    with pytest.raises(InputError, match="direction: expected `both` or one of"):
        run("neutral")


def test_contrastive_selection_ties_neurons_to_labels(
    evaluate: Any, make_sna: Any, tmp_path: Path
) -> None:
    lm = make_sna(layer=2, select="contrastive", top_k=6, multiplier=4.0, gate="margin")
    got = evaluate(lm, ["sna_sst2"], limit=12)
    (entry,) = lm.plans.resolved["sna_sst2"].interventions
    assert entry.neurons is not None
    assert {*entry.neurons} == {"negative", "positive"}
    assert not {*entry.neurons["negative"]} & {*entry.neurons["positive"]}
    assert entry.found is not None
    assert 0 <= entry.found.one_vs_neutral_overlap <= 1
    expected = {
        "acc", "baseline_acc", "flips_zone3", "amplified_fraction",
        *(f"{name}_zone{zone}" for name in ("acc", "baseline_acc", "n") for zone in (1, 2, 3)),
    }  # fmt: skip
    assert expected <= {name.split(",")[0] for name in got["results"]["sna_sst2"]}
    counts = [got["results"]["sna_sst2"][f"n_zone{zone},none"] for zone in (1, 2, 3)]
    assert sum(counts) == 12


def test_plans_with_labels_survive_the_file(run: Any, tmp_path: Path) -> None:
    run("both")
    plan = load_plan(tmp_path / "both.yaml")
    (entry,) = plan.tasks["sna_sst2"].interventions
    assert entry.neurons == {"negative": (1, 5, 7), "positive": (2, 9, 11)}
