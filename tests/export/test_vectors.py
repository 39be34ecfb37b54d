"""Vectors of rival methods in the formats that take them, read back by the other side's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.export.vectors import layer_vectors
from sna_eval.gating import Gate
from sna_eval.harness.values import evidence_of
from sna_eval.intervention import Vector
from sna_eval.plan import Plan, PlannedIntervention, TaskPlan, save_plan
from tests.export.conftest import PLAN, TASK


def _vector(seed: int, width: int = 32) -> Vector:
    return Vector(torch.randn(width, generator=torch.Generator().manual_seed(seed)))


def _entry(layer: int, seed: int, **changes: Any) -> PlannedIntervention:
    values = {"method": "caa", "positions": "all", "strength": 0.5, **changes}
    return PlannedIntervention(layer, parameters={"vector": _vector(seed)}, **values)


VECTORS = TaskPlan(
    Gate(mode="always"),
    (_entry(1, 1), _entry(2, 2, method="repe", strength=-0.25), _entry(1, 3)),
)


def test_lm_evals_steered_model_scores_the_same(
    model_folder: Any, export: Any, scores: Any, tmp_path: Path
) -> None:
    folder = export(model_folder("llama"), "steered", VECTORS)
    save_plan(Plan({TASK: VECTORS}), tmp_path / "plan.yaml")
    base = str(model_folder("llama"))
    ours = scores("sna", pretrained=base, plan=str(tmp_path / "plan.yaml"))
    theirs = scores("steered", pretrained=base, steer_path=str(folder / "steered.pt"))
    assert [float(value) for value in ours] == pytest.approx(theirs, abs=1e-5)
    effects = [float(value) - evidence_of(value).baseline for value in ours]
    assert max(map(abs, effects)) > 0.01


def test_llama_cpps_reader_finds_the_directions(model_folder: Any, export: Any) -> None:
    from gguf import GGUFReader

    folder = export(model_folder("llama"), "control_vector", VECTORS)
    reader = GGUFReader(folder / "control_vector.gguf")
    assert reader.fields["general.architecture"].contents() == "controlvector"
    assert reader.fields["controlvector.layer_count"].contents() == 2
    found = {tensor.name: torch.tensor(tensor.data) for tensor in reader.tensors}
    assert found.keys() == {"direction.1", "direction.2"}
    expected = 0.5 * _vector(1).values + 0.5 * _vector(3).values
    assert torch.equal(found["direction.1"], expected)
    assert torch.equal(found["direction.2"], -0.25 * _vector(2).values)


@pytest.mark.parametrize(
    ("plan", "format", "message"),
    [
        (VECTORS, "lora", "format: expected `control_vector` or `steered`, for vectors"),
        (PLAN, "steered", "format: expected `ia3`, `lora` or `merged`, for factors on neurons"),
        (
            TaskPlan(Gate(mode="always"), (_entry(0, 1),)),
            "control_vector",
            "layer: expected 1 or more, for a control vector, got 0",
        ),
    ],
)
def test_formats_that_cannot_hold_it(
    plan: TaskPlan, format: Any, message: str, model_folder: Any, export: Any
) -> None:
    with pytest.raises(InputError, match=message):
        export(model_folder("llama"), format, plan)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (_entry(1, 1, positions="continuation"), "positions: expected `all`: these files act"),
        (_entry(1, 1, strength=0.0), "interventions: expected a vector other than 0"),
        (
            PlannedIntervention(
                1, method="temperature", parameters={"temperature": Vector.of([2.0])}
            ),
            "method: expected one that adds a vector",
        ),
    ],
)
def test_plans_that_no_vector_is(entry: PlannedIntervention, message: str) -> None:
    with pytest.raises(InputError, match=message):
        layer_vectors(TaskPlan(Gate(mode="always"), (entry,)))
