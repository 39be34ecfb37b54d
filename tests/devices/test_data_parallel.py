"""Two processes that share the documents answer as one does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.devices.conftest import assert_same_answers, assert_same_counts, launch
from tests.devices.evaluate import evaluate

PLAN = """
version: 1
tasks:
  sna_math_easy:
    gate: {signal: max_prob, low: 0.02, high: 0.5}
    interventions:
      - {layer: 2, multiplier: 3.0, select: {method: differential, top_k: 5}}
  own_choices:
    gate: {signal: margin, low: 0.6, high: 0.9}
    interventions: [{layer: 1, multiplier: 3.0, neurons: [1, 5, 7]}]
  "own_[gr]*":
    gate: {mode: always}
    interventions: [{layer: 1, multiplier: 2.0, neurons: [1, 5, 7]}]
"""
TASKS = ["sna_math_easy", "sna_math_hard", "own_choices", "own_rolling", "own_generation"]


def test_scores_decisions_and_counts(
    saved: Callable[[str], Path], job: Callable[..., Any], tmp_path: Path
) -> None:
    """Five documents: three for one process, two and lm_eval's padding for the other."""
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    run = job({"pretrained": str(saved("gpt2")), "plan": str(plan)}, TASKS)
    got, printed = launch(run, tmp_path)
    expected = evaluate(run)
    assert expected is not None
    assert_same_answers(got, expected)
    assert_same_counts(got, expected)
    assert got["config"]["sna"]["processes"] == 2
    own = got["config"]["sna"]["tasks"]
    assert {name: task["items"] for name, task in own.items()} == {
        name: 5 for name in TASKS if name != "sna_math_hard"
    }
    assert 0 < got["config"]["sna"]["amplified_fraction"] < 1, "gates open for some alone"
    assert printed.count("the plan has no entry for task 'sna_math_hard'") == 1
    assert printed.count("Scoring items: 100%") == 1
