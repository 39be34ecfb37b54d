"""What a user types: from a plan to what is served."""

from __future__ import annotations

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

    values = log_likelihoods(evaluate(load(smollm2, plan=str(found)), [TASK], limit=LIMIT), TASK)
    plain = log_likelihoods(evaluate(load(smollm2), [TASK], limit=LIMIT), TASK)
    served = log_likelihoods(evaluate(load(merged), [TASK], limit=LIMIT), TASK)
    assert served == pytest.approx(values, abs=1e-4)
    assert max(abs(a - b) for a, b in zip(served, plain, strict=True)) > 0.01
