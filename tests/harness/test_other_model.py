"""Plans whose neurons were found on another model are said to be so, once, and in the results."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from sna_eval.plan import load_plan
from tests.conftest import VOCABULARY, build_model

PLAN = """
version: 1
defaults: {gate: always}
tasks:
  sna_math_easy:
    interventions:
      - {layer: 1, multiplier: 2.0, neurons: [3, 4], found: {model_hash: HASH}}
  sna_math_hard:
    interventions: [{layer: 1, multiplier: 2.0, neurons: [3, 4]}]
"""
TASKS = ["sna_math_easy", "sna_math_hard"]


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Any:
    """What was said of other models so far."""
    caplog.set_level(logging.WARNING)
    return lambda: [r.getMessage() for r in caplog.records if "other weights" in r.getMessage()]


@pytest.mark.parametrize("other", [False, True])
def test_neurons_of_another_model(
    evaluate: Any, make_sna: Any, tmp_path: Path, warnings: Any, other: bool
) -> None:
    model_hash = make_sna(gate="never").model_hash
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.replace("HASH", '"0000000000000000"' if other else f'"{model_hash}"'))
    lm = make_sna(plan=str(path))
    evaluate(lm, TASKS, limit=2)
    sna = lm.get_model_info()["sna"]
    assert sna["found_on_another_model"] is other
    assert {name: task["found_on_another_model"] for name, task in sna["tasks"].items()} == {
        "sna_math_easy": other, "sna_math_hard": False,
    }  # fmt: skip
    assert len(warnings()) == int(other)
    if other:
        assert "what the plan does to sna_math_easy was found on a model with" in warnings()[0]


def test_a_plan_that_was_resolved_here_is_silent(
    make_sna: Any, word_tokenizer: Any, tmp_path: Path, warnings: Any
) -> None:
    """Resolved with one model, read with it and with one of the same shape and other weights."""
    from sna_eval.harness.loading import load_tasks
    from sna_eval.plan import Plan, save_plan

    inline = {"layer": 1, "top_k": 3, "multiplier": 2.0, "gate": "always"}
    lm = make_sna(**inline)
    for task in load_tasks(["sna_math_easy", "sna_math_hard"], only_bundled=True).values():
        lm.plans.for_task(task)
    save_plan(Plan(lm.plans.resolved), tmp_path / "plan.yaml")
    make_sna(plan=str(tmp_path / "plan.yaml"))
    assert warnings() == []
    shape = build_model("gpt2", n_positions=256, vocab_size=VOCABULARY)
    shape.transformer.h[0].mlp.c_fc.weight.data.add_(0.5)
    make_sna(shape, plan=str(tmp_path / "plan.yaml"))
    assert len(warnings()) == 1
    assert "to sna_math_easy, sna_math_hard was found" in warnings()[0]


def test_the_bundled_plan_is_the_bundled_model_s(warnings: Any) -> None:
    from sna_eval.harness.loading import load_lm

    load_lm("pretrained=sna-reference,plan=sna-reference")
    assert warnings() == []
    found = [entry.found for task in load_plan("sna-reference").tasks.values()
             for entry in task.interventions]  # fmt: skip
    assert all(one is not None and one.model_hash for one in found)
