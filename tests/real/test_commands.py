"""What a user types: from a plan to what is served, and `plan=auto` on a task of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sna_eval.cli import main
from sna_eval.plan import load_plan
from tests.real.conftest import Load, evaluate, log_likelihoods

TASK = "sna_logic_easy"
LIMIT = 8
PLAN = """
version: 1
tasks:
  sna_logic_easy:
    gate: {mode: always}
    interventions:
      - {layer: 12, multiplier: 2.0, select: {method: differential, top_k: 8, max_prompts: 16}}
"""
PAIRS = (
    ("The dogs bark.", "The dogs barks."),
    ("She has eaten.", "She have eaten."),
    ("He is tall.", "He are tall."),
    ("They were late.", "They was late."),
)
MINIMAL_PAIRS = """
task: pairs
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/pairs.jsonl, validation: {folder}/pairs.jsonl}}}}
output_type: multiple_choice
test_split: test
validation_split: validation
doc_to_text: ""
target_delimiter: ""
doc_to_choice: "{{{{[good, bad]}}}}"
doc_to_target: 0
metric_list: [{{metric: acc}}]
"""


def test_neurons_are_found_amplified_and_served_alike(
    smollm2: Path, load: Load, tmp_path: Path
) -> None:
    """`identify`, then `export`, then lm_eval's own model class on what was written."""
    asked, found, merged = tmp_path / "asked.yaml", tmp_path / "found.yaml", tmp_path / "merged"
    asked.write_text(PLAN)
    model = ["--model_args", f"pretrained={smollm2}"]
    arguments = ["--plan", str(asked), "--tasks", TASK, "--output", str(found)]
    assert main(["identify", *model, *arguments]) == 0
    (entry,) = load_plan(found).tasks[TASK].interventions
    assert len((entry.neurons or {})[""]) == 8
    arguments = [
        "--plan",
        str(found),
        "--task",
        TASK,
        "--format",
        "merged",
        "--output",
        str(merged),
    ]
    assert main(["export", *model, *arguments]) == 0

    own = log_likelihoods(evaluate(load(smollm2, plan=str(found)), [TASK], limit=LIMIT), TASK)
    plain = log_likelihoods(evaluate(load(smollm2), [TASK], limit=LIMIT), TASK)
    served = log_likelihoods(evaluate(load(merged), [TASK], limit=LIMIT), TASK)
    assert served == pytest.approx(own, abs=1e-4)
    assert max(abs(a - b) for a, b in zip(served, plain, strict=True)) > 0.01


def test_a_plan_is_made_for_minimal_pairs(smollm2: Path, load: Load, tmp_path: Path) -> None:
    """No context at all, two whole sentences: what the task would score is what is searched."""
    rows = [json.dumps({"good": good, "bad": bad}) for good, bad in PAIRS * 3]
    (tmp_path / "pairs.jsonl").write_text("\n".join(rows))
    (tmp_path / "pairs.yaml").write_text(MINIMAL_PAIRS.format(folder=tmp_path))
    lm = load(smollm2, plan="auto", auto_budget=6)
    results = evaluate(lm, ["pairs"], limit=None, include=tmp_path)
    assert len(results["samples"]["pairs"]) == len(rows)
    plan = lm.describe()["tasks"]["pairs"]
    assert plan["interventions"], plan
    hf = evaluate(load(smollm2), ["pairs"], limit=None, include=tmp_path)
    assert results["results"]["pairs"]["baseline_acc,none"] == hf["results"]["pairs"]["acc,none"]
