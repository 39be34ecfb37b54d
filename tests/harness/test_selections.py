"""Plans that ask for attribution or random neurons, in evaluations by lm_eval's own evaluator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.plan import Plan, load_plan, plan_fingerprint, save_plan
from tests.harness.conftest import Evaluate, answers

TASKS = ["own_choices", "sna_math_easy"]
PLAN = """
version: 1
tasks:
  own_choices:
    gate: {signal: margin, low: 0.9, high: 0.95}
    interventions:
      - {layer: 2, multiplier: 6.0, select: {method: attribution, top_k: 9}}
  sna_math_easy:
    gate: always
    interventions:
      - {layer: 1, multiplier: 6.0, select: {method: random, top_k: 9, seed: 2}}
      - {layer: 3, multiplier: 4.0, select: {method: attribution, top_k: 5}}
"""


def test_the_saved_plan_repeats_the_run(
    make_sna: Callable[..., Any], evaluate: Evaluate, tmp_path: Path
) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    first = make_sna(plan=str(tmp_path / "plan.yaml"))
    asked = evaluate(first, TASKS)
    found = Plan(first.plans.resolved)
    methods = [
        intervention.found.method for t in TASKS for intervention in found.tasks[t].interventions
    ]
    assert methods == ["attribution", "random", "attribution"]
    assert [
        len(intervention.neurons[""]) for intervention in found.tasks["sna_math_easy"].interventions
    ] == [9, 5]
    save_plan(found, tmp_path / "saved.yaml")
    assert plan_fingerprint(load_plan(tmp_path / "saved.yaml")) == plan_fingerprint(found)
    second = make_sna(plan=str(tmp_path / "saved.yaml"))
    repeated = evaluate(second, TASKS)
    assert answers(repeated) == answers(asked)
    first_said, second_said = first.describe(), second.describe()
    assert first_said["amplified_fraction"] > 0
    assert first_said["tasks"] == second_said["tasks"]
    unmodified = evaluate(make_sna(gate="never"), TASKS)
    assert answers(unmodified) != answers(asked)


@pytest.mark.parametrize("select", ["attribution", "gradient"])
def test_inline_is_the_same(select: str, make_sna: Callable[..., Any], evaluate: Evaluate) -> None:
    """Against the neurons named one by one."""
    asked = make_sna(layer=2, top_k=9, multiplier=6.0, select=select, gate="always")
    got = evaluate(asked, ["own_choices"])
    (entry,) = asked.plans.resolved["own_choices"].interventions
    named = make_sna(layer=2, neurons=list(entry.neurons[""]), multiplier=6.0, gate="always")
    assert answers(evaluate(named, ["own_choices"])) == answers(got)


def test_only_scored_tasks_have_attribution(
    make_sna: Callable[..., Any], evaluate: Evaluate
) -> None:
    lm = make_sna(layer=1, top_k=2, multiplier=2.0, select="attribution", gate="always")
    with pytest.raises(InputError, match=r"select\.method: expected a task scored by log-likeli"):
        evaluate(lm, ["own_generation"], limit=1)
