"""A plan's neurons one by one: through a whole task, and a cut plan that does what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from architectures.tiny import build, entries
from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.plan import Plan, PlannedIntervention, TaskPlan, load_plan, save_plan
from sna_eval.study.methods.diagnosis import diagnose

NEURONS = (3, 11, 40, 77)
ENTRY = PlannedIntervention(1, 5.0, neurons={"": NEURONS}, scores={"": (4.0, 3.0, 2.0, 1.0)})
PLAN = Plan({"own_open": TaskPlan(Gate(mode="always"), (ENTRY,))})


def with_entry(entry: PlannedIntervention, **gate: Any) -> Plan:
    return Plan({"own_open": TaskPlan(Gate(**{"mode": "always", **gate}), (entry,))})


def test_the_cut_plan_keeps_the_carriers(lm: Any, load: Callable[..., dict[str, Any]]) -> None:
    (task,) = load("own_open").values()
    with lm.under(PLAN):
        whole = diagnose(lm, "own_open", task, keep=1.0, quiet=True)
        half = diagnose(lm, "own_open", task, keep=0.1, quiet=True)
    assert whole.n_items == 6
    assert [neuron.neuron for neuron in whole.patching.neurons] == list(NEURONS)
    carriers = {effect.neuron for effect in half.patching.carrying(0.1)}
    (entry,) = half.cut.interventions
    assert set((entry.neurons or {})[""]) == carriers
    scores = dict(zip(NEURONS, (4.0, 3.0, 2.0, 1.0), strict=True))
    assert (entry.scores or {})[""] == tuple(scores[n] for n in (entry.neurons or {})[""])
    assert entry.found is not None
    assert entry.found.cut_from == 4
    cut = Plan({"own_open": half.cut})
    with lm.under(cut):
        again = diagnose(lm, "own_open", task, keep=1.0, quiet=True)
    assert again.patching.effect == pytest.approx(half.cut_effect, abs=1e-6)
    json.dumps(half.as_dict())


def test_the_command_writes_plan_and_figures(
    checkpoint: Path, own_tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_plan(PLAN, tmp_path / "plan.yaml")
    arguments = ["diagnose", "--model_args", f"pretrained={checkpoint}", "--tasks", "own_open"]
    arguments += ["--include_path", str(own_tasks), "--plan", str(tmp_path / "plan.yaml")]
    assert main([*arguments, "--output", str(tmp_path / "cut.yaml")]) == 0
    said = capsys.readouterr().out
    assert "own_open: P(target)" in said
    assert "entropy neurons among them" in said
    assert load_plan(tmp_path / "cut.yaml").tasks["own_open"].interventions
    (figures,) = json.loads((tmp_path / "cut.json").read_text())
    assert [neuron["neuron"] for neuron in figures["neurons"]] == list(NEURONS)
    assert main([*arguments, "--keep", "2"]) == 2
    assert "keep: expected a share above 0 and up to 1" in capsys.readouterr().err
    assert main([*arguments, "--output", str(tmp_path / "figures.json")]) == 2
    assert "--output: expected a plan file such as cut.yaml" in capsys.readouterr().err


def test_impossible_plans(lm: Any, load: Callable[..., dict[str, Any]]) -> None:
    (task,) = load("own_open").values()
    never = {"mode": "confidence", "signal": "target_prob", "low": 0.0, "high": 0.0}
    for plan, message in (
        (with_entry(replace(ENTRY, positions="last")), "each neuron once, at all positions"),
        (
            with_entry(replace(ENTRY, unit="head", neurons={"": (0, 2)}, scores=None)),
            "unit: expected mlp: neurons are patched one by one, got 'head'",
        ),
        (with_entry(ENTRY, **never), "expected a gate that opens for a development item"),
        (
            with_entry(PlannedIntervention(1, method="caa")),
            "multiplies chosen neurons, and nothing",
        ),
        (
            Plan(
                {"own_open": TaskPlan(Gate(mode="always"), (ENTRY, replace(ENTRY, multiplier=9.0)))}
            ),
            "each neuron once",
        ),
    ):
        with lm.under(plan), pytest.raises(InputError, match=message):
            diagnose(lm, "own_open", task, keep=0.9, quiet=True)


@pytest.mark.parametrize("name", ["mixtral", "helium"])
def test_models_that_cannot_be_patched_are_refused(name: str, word_tokenizer: Any) -> None:
    """TransformerLens patches neither a mixture's experts nor what it does not know."""
    from sna_eval.harness.lm import SNALM

    entry = entries()[name]
    changed = replace(entry, config={**entry.config, "vocab_size": len(word_tokenizer)})
    lm = SNALM(build(changed), tokenizer=word_tokenizer, gate="never")
    with pytest.raises(InputError, match="pretrained: expected a model whose neurons Transformer"):
        diagnose(lm, "own_open", None, keep=1.0, quiet=True)
