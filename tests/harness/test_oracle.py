"""What follows the right answer says so: in the result file, and in every sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.study.results.zone_table import format_rows, zone_rows

PLAN = """
version: 1
tasks:
  sna_sst2:
    gate: {{signal: {signal}, low: 0.5, high: 0.9}}
    interventions:
      - layer: 2
        multiplier: 8.0
        {direction}
        neurons: {{negative: [1, 5, 7], positive: [2, 9, 11]}}
  sna_math_easy:
    gate: {{mode: always}}
    interventions: [{{layer: 1, multiplier: 2.0, neurons: [3]}}]
"""
GOLD = "direction: gold\n        allow_oracle: true"
TASKS = ["sna_sst2", "sna_math_easy"]


@pytest.fixture(scope="module")
def run(evaluate: Any, make_sna: Any, shared_data: Path, tmp_path_factory: Any) -> Any:
    """`config.sna` and samples of a gold direction behind a blind gate, and of the reverse."""
    folder = tmp_path_factory.mktemp("plans")

    def call(signal: str, direction: str) -> tuple[dict[str, Any], dict[str, Any]]:
        path = folder / "plan.yaml"
        path.write_text(PLAN.format(signal=signal, direction=direction))
        lm = make_sna(plan=str(path))
        results = evaluate(lm, TASKS, limit=8)
        return lm.describe(), results

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNA_EVAL_SST2", str(shared_data / "sst2"))
        yield {"gold": call("margin", GOLD), "gate": call("target_prob", "direction: both")}


@pytest.mark.parametrize(("kind", "oracle"), [("gold", True), ("gate", False)])
def test_the_result_file_says_which_it_is(run: Any, kind: str, oracle: bool) -> None:
    """Both look at the answer; only a direction by it is an oracle, and only on its task."""
    described, _ = run[kind]
    assert (described["oracle"], described["sees_answer"]) == (oracle, True)
    labels, open_answers = (described["tasks"][name] for name in TASKS)
    assert (labels["oracle"], labels["sees_answer"]) == (oracle, True)
    assert (open_answers["oracle"], open_answers["sees_answer"]) == (False, False)


@pytest.mark.parametrize(("kind", "oracle"), [("gold", 1.0), ("gate", 0.0)])
def test_every_sample_says_it(run: Any, kind: str, oracle: float) -> None:
    """Closed items too: what they would have got was a matter of the answer."""
    _, results = run[kind]
    samples = results["samples"]["sna_sst2"]
    if kind == "gold":
        assert {sample["decision"] for sample in samples} == {0.0, 1.0}
    assert [sample["oracle"] for sample in samples] == [oracle] * 8
    assert [sample["oracle"] for sample in results["samples"]["sna_math_easy"]] == [0.0] * 8
    assert results["results"]["sna_sst2"]["oracle,none"] == oracle


def test_the_table_of_a_folder_marks_it(run: Any, tmp_path: Path) -> None:
    _, results = run["gold"]
    for task, samples in results["samples"].items():
        kept = [{k: sample[k] for k in sample if k not in ("resps", "doc")} for sample in samples]
        text = "\n".join(json.dumps(one, default=str) for one in kept)
        (tmp_path / f"samples_{task}_2026-01-01.jsonl").write_text(text)
    rows = zone_rows(tmp_path)
    assert {row.task for row in rows if row.oracle} == {"sna_sst2"}
    assert all(row.oracle for row in rows if row.task == "sna_sst2")
    shown = format_rows(rows)
    assert "sna_sst2 (oracle)" in shown
    assert shown.count("(oracle)") == 1


def test_samples_from_before_are_read_as_no_oracle(tmp_path: Path) -> None:
    sample = {"doc_id": 0, "zone": 1.0, "acc": 1.0, "baseline_acc": 0.0}
    (tmp_path / "samples_own_2026-01-01.jsonl").write_text(json.dumps(sample))
    assert [row.oracle for row in zone_rows(tmp_path)] == [False, False]
    with pytest.raises(InputError, match="sample files of an `sna` run"):
        zone_rows(tmp_path / "none")
