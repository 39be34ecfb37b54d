"""Every export, loaded by what other people run, scores as `sna` does with an open gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from sna_eval.errors import InputError
from sna_eval.export import RECORD_NAME, import_ia3
from sna_eval.export.record import read_object
from sna_eval.gating import Gate
from sna_eval.harness.values import evidence_of
from sna_eval.plan import Plan, PlannedIntervention, TaskPlan, save_plan
from tests.conftest import CONFIGS, FURTHER_CONFIGS, token_ids
from tests.export.conftest import PLAN, TASK, source_of

FUSED = ("phi3", "bloom", "gptj", "gemma3_text")
"""Fused gate and up projections, fused attention, parallel blocks, norms after the projection."""


@pytest.mark.parametrize("name", CONFIGS)
def test_each_export_scores_as_sna_does(
    name: str, model_folder: Any, export: Any, plan_file: Path, scores: Callable[..., list[Any]]
) -> None:
    base = str(model_folder(name))
    expected = scores("sna", pretrained=base, plan=str(plan_file), gate="always")
    got = {
        "ia3": scores("hf", pretrained=base, peft=str(export(base, "ia3"))),
        "lora": scores("hf", pretrained=base, peft=str(export(base, "lora"))),
        "merged": scores("hf", pretrained=str(export(base, "merged"))),
    }
    changes = [value - evidence_of(value).baseline for value in expected]
    assert max(map(abs, changes)) > 0.1
    for values in got.values():
        assert values == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("format", ["ia3", "lora"])
@pytest.mark.parametrize("name", [*CONFIGS, *FUSED])
def test_adapter_switches_off_without_a_trace(
    name: str, format: Any, model_folder: Any, export: Any
) -> None:
    folder = model_folder(name)
    adapter = export(folder, format)
    ids = token_ids(2, 9, vocabulary=100)
    base = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        before = base(ids).logits
        model = PeftModel.from_pretrained(base, adapter).eval()
        changed = model(ids).logits
        with model.disable_adapter():
            switched_off = model(ids).logits
    assert torch.equal(switched_off, before)
    assert (changed - before).abs().max() > 0.1
    assert _adapted_modules(model) == {source_of(folder).module_name(layer) for layer in (1, 3)}


@pytest.mark.parametrize("name", CONFIGS)
def test_ia3_comes_back_as_the_plan(name: str, model_folder: Any, export: Any) -> None:
    assert import_ia3(export(model_folder(name), "ia3")).tasks[TASK] == PLAN


def _adapted_modules(model: Any) -> set[str]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {
        name
        for name, module in model.get_base_model().named_modules()
        if isinstance(module, BaseTunerLayer)
    }


def test_more_architectures_are_really_more() -> None:
    assert set(FUSED) <= set(FURTHER_CONFIGS)
    assert len(CONFIGS) == 8


HEADS = TaskPlan(
    Gate(mode="always"),
    (
        PlannedIntervention(1, 2.5, unit="head", neurons={"": (3, 0)}),
        PlannedIntervention(1, 1.7, neurons={"": (5, 40)}),  # neurons of the same layer
        PlannedIntervention(3, 3.0, unit="head", neurons={"": (1,)}),
    ),
)


@pytest.mark.parametrize("name", CONFIGS)
def test_heads_score_as_sna_does(
    name: str, model_folder: Any, export: Any, scores: Callable[..., list[Any]], tmp_path: Path
) -> None:
    save_plan(Plan({TASK: HEADS}), tmp_path / "heads.yaml")
    base = str(model_folder(name))
    expected = scores("sna", pretrained=base, plan=str(tmp_path / "heads.yaml"), gate="always")
    ia3 = export(base, "ia3", HEADS)
    got = {
        "ia3": scores("hf", pretrained=base, peft=str(ia3)),
        "lora": scores("hf", pretrained=base, peft=str(export(base, "lora", HEADS))),
        "merged": scores("hf", pretrained=str(export(base, "merged", HEADS))),
    }
    changes = [value - evidence_of(value).baseline for value in expected]
    assert max(map(abs, changes)) > 0.1
    for values in got.values():
        assert values == pytest.approx(expected, abs=1e-5)
    assert import_ia3(ia3).tasks[TASK] == HEADS
    record = read_object(ia3 / RECORD_NAME)
    modules = [
        (module["layer"], module.get("unit"), module["neurons"]) for module in record["modules"]
    ]
    assert modules == [(1, None, [5, 40]), (1, "head", [0, 3]), (3, "head", [1])]
    (ia3 / RECORD_NAME).unlink()
    with pytest.raises(InputError, match=r"expected vectors on MLPs, or sna_export\.json"):
        import_ia3(ia3)
