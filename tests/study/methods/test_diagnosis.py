"""A plan's neurons one by one: through a whole task, and a cut plan that does what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from architectures.tiny import build, entries
from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.intervention import Intervention, amplify
from sna_eval.plan import Plan, PlannedIntervention, TaskPlan, load_plan, save_plan
from sna_eval.study.methods.diagnosis import diagnose
from tests.intervention.dictionaries import random_tensors, write_sae_lens

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


def described(lm: Any, folder: Path) -> Any:
    """The same model, and a dictionary of its layer 1."""
    from sna_eval.harness.lm import SNALM

    write_sae_lens(folder, 32, "blocks.1.hook_resid_post")
    return SNALM(lm.model, tokenizer=lm.tokenizer, gate="never", dictionary=str(folder))


@pytest.mark.parametrize("unit", ["head", "feature"])
def test_heads_and_features(
    unit: Any, lm: Any, load: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """Each alone and left out, heads beside neurons that read them, by plain passes; where they
    write, by their weights."""
    (task,) = load("own_open").values()
    chosen = {"head": (0, 2), "feature": (14, 5, 40)}[unit]
    entry = PlannedIntervention(1, 4.0, unit=unit, neurons={"": chosen})
    beside = PlannedIntervention(1, 5.0, neurons={"": (2, 40)})
    seeing = described(lm, tmp_path / "sae") if unit == "feature" else lm
    entries = (entry, beside) if unit == "head" else (entry,)
    plan = Plan({"own_open": TaskPlan(Gate(mode="always"), entries)})
    with seeing.under(plan):
        found = diagnose(seeing, "own_open", task, keep=0.5, quiet=True)
    parts = [(unit, index, 4.0) for index in chosen]
    parts += [("mlp", index, 5.0) for index in (2, 40)] if unit == "head" else []
    assert [(one.unit, one.neuron) for one in found.patching.neurons] == [p[:2] for p in parts]

    docs = list(task.validation_docs())

    @torch.no_grad()
    def mean_prob(acting: Sequence[tuple[Any, int, float]]) -> float:
        probs = []
        for doc in docs:
            context, answer = doc["text"], f" {doc['answer']}"
            whole = seeing.tokenizer(context + answer)["input_ids"]
            start = len(seeing.tokenizer(context)["input_ids"])
            given = [Intervention(1, (i,), factor, unit=kind) for kind, i, factor in acting]
            with amplify(seeing.model, given, sites=seeing.sites):
                logits = seeing.model(torch.tensor([whole])).logits[0].double()
            read = logits.log_softmax(-1)
            probs.append(np.exp(sum(float(read[n - 1, whole[n]])
                                    for n in range(start, len(whole)))))  # fmt: skip
        return float(np.mean(probs))

    assert found.patching.baseline == pytest.approx(mean_prob([]), rel=1e-5)
    assert found.patching.amplified == pytest.approx(mean_prob(parts), rel=1e-5)
    for one, part in zip(found.patching.neurons, parts[: len(chosen)], strict=False):
        rest = [other for other in parts if other != part]
        near = 1e-5 * max(found.patching.baseline, found.patching.amplified)
        assert one.alone == pytest.approx(mean_prob([part]) - mean_prob([]), abs=near)
        assert one.without == pytest.approx(mean_prob(parts) - mean_prob(rest), abs=near)
    effects = [abs(one.alone) for one in found.patching.neurons[: len(chosen)]]
    assert max(effects) > 1e-2 * found.patching.baseline
    written = found.as_dict()["neurons"][0]
    weight = lm.model.transformer.h[1].attn.c_proj.weight.data.double()[:8]  # head 0: 8 channels
    if unit == "feature":
        weight = random_tensors(32)["W_dec"].double()[14:15]
    weight = weight - weight.mean(dim=1, keepdim=True)  # LayerNorm takes the mean out
    assert written["norm"] == pytest.approx(float(weight.square().sum(1).mean().sqrt()), rel=1e-5)
    assert {own.unit for own in found.cut.interventions} <= {unit, "mlp"}
    kept = {(one.unit, one.neuron) for one in found.patching.carrying(0.5)}
    assert kept == {(own.unit, i) for own in found.cut.interventions for i in own.neurons[""]}


def test_impossible_plans(lm: Any, load: Callable[..., dict[str, Any]]) -> None:
    (task,) = load("own_open").values()
    never = {"mode": "confidence", "signal": "target_prob", "low": 0.0, "high": 0.0}
    for plan, message in (
        (with_entry(replace(ENTRY, positions="last")), "each neuron once, at all positions"),
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
