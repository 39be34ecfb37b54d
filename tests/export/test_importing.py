"""IA3 adapters back into plans, and files that are no such thing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sna_eval.errors import InputError
from sna_eval.export import import_ia3
from sna_eval.gating import Gate
from sna_eval.plan import ModelSpec, Plan, PlannedIntervention, TaskPlan
from tests.export.conftest import PLAN, TASK

NAME = "base_model.model.transformer.h.{}.mlp.c_proj.ia3_l"
Vectors = Mapping[str, torch.Tensor]


def adapter(folder: Path, vectors: Vectors, **config: Any) -> Path:
    """An adapter folder as PEFT writes it, without this package's record."""
    folder.mkdir(exist_ok=True)
    content = {"peft_type": "IA3", "base_model_name_or_path": "gpt2", **config}
    (folder / "adapter_config.json").write_text(json.dumps(content))
    save_file(dict(vectors), folder / "adapter_model.safetensors")
    return folder


def vector(values: Mapping[int, float], *, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    row = torch.ones(1, 16, dtype=dtype)
    for index, value in values.items():
        row[0, index] = value
    return row


def test_vectors_become_interventions(tmp_path: Path) -> None:
    vectors = {
        NAME.format(11): vector({4: 1.7, 2: 2.5, 9: 1.7}),
        NAME.format(2): vector({0: 0.0}),
        NAME.format(3): vector({}),
    }
    plan = import_ia3(adapter(tmp_path, vectors), task="sna_math_*")
    expected = (
        PlannedIntervention(2, 0.0, neurons={"": (0,)}),
        PlannedIntervention(11, 1.7, neurons={"": (4, 9)}),
        PlannedIntervention(11, 2.5, neurons={"": (2,)}),
    )
    assert plan == Plan(
        {"sna_math_*": TaskPlan(Gate(mode="always"), expected)}, ModelSpec("gpt2", d_mlp=16)
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_multipliers_come_back_as_they_were_written(dtype: torch.dtype, tmp_path: Path) -> None:
    vectors = {NAME.format(0): vector({1: 1.7, 2: 2.4, 3: 12.0}, dtype=dtype)}
    plan = import_ia3(adapter(tmp_path, vectors))
    assert [entry.multiplier for entry in plan.tasks["*"].interventions] == [1.7, 2.4, 12.0]


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_export_comes_back_from_its_vectors_alone(
    name: str, model_folder: Any, export: Any
) -> None:
    plan = TaskPlan(
        Gate(mode="always"),
        (
            PlannedIntervention(1, 1.7, neurons={"": (3, 17)}),
            PlannedIntervention(1, 2.5, neurons={"": (5, 40)}),
            PlannedIntervention(3, 0.3, neurons={"": (2,)}),
        ),
    )
    folder = export(model_folder(name), "ia3", plan)
    (folder / "sna_export.json").unlink()
    assert import_ia3(folder).tasks["*"] == plan


def test_export_comes_back_with_gate_and_labels(model_folder: Any, export: Any) -> None:
    plan = replace(PLAN, gate=Gate("margin", 0.2, 0.4))
    folder = export(model_folder("gpt2"), "ia3", plan)
    got = import_ia3(folder, task="ignored")
    assert got.tasks == {TASK: plan}
    assert got.model == ModelSpec(str(model_folder("gpt2")), 4, 128)


def test_export_whose_vectors_were_changed(model_folder: Any, export: Any) -> None:
    folder = export(model_folder("gpt2"), "ia3")
    path = folder / "adapter_model.safetensors"
    vectors = load_file(path)
    next(iter(vectors.values()))[0, 100] = 2.0
    save_file(vectors, path)
    with pytest.raises(InputError, match=r"remove sna_export\.json to import the vectors alone"):
        import_ia3(folder)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({NAME.format(0): vector({})}, "expected a vector with an entry other than 1"),
        ({NAME.format(0): vector({1: float("nan")})}, "expected finite numbers"),
        ({NAME.format(0): vector({1: float("inf")})}, "expected finite numbers"),
        ({NAME.format(0): torch.ones(1, 4, dtype=torch.int64) * 2}, "expected finite numbers"),
        ({NAME.format(0): vector({1: 2.0}).T.contiguous()}, "scales outputs, which are not neur"),
        ({NAME.format("x"): vector({1: 2.0})}, "expected names like base_model"),
        ({NAME.format("9" * 50): vector({1: 2.0})}, "this is no IA3 adapter of a decoder"),
        ({"lora_A.0.weight": vector({1: 2.0})}, "this is no IA3 adapter of a decoder"),
        (
            {NAME.format(0): torch.linspace(2, 3, 99).reshape(1, 99)},
            "layer 0: expected at most 64 different multipliers, got 99",
        ),
        (
            {
                NAME.format(0): vector({1: 2.0}),
                NAME.format(0).replace("proj", "up"): vector({1: 3}),
            },
            "expected one output projection in each layer",
        ),
        (
            {NAME.format(0): vector({1: 2.0}), NAME.format(1): torch.full((1, 8), 2.0)},
            r"expected vectors of one length, got \[8, 16\]",
        ),
    ],
)
def test_adapters_that_scale_no_neurons(vectors: Vectors, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        import_ia3(adapter(tmp_path, vectors))


ENTRY = {"interventions": [{"layer": 0, "multiplier": 2, "neurons": [1]}]}
GOOD = {NAME.format(0): vector({1: 2.0})}


def test_other_kinds_of_adapter(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="peft_type: expected IA3, got 'LORA'"):
        import_ia3(adapter(tmp_path, GOOD, peft_type="LORA"))


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a JSON file, got 'none'; check the folder"):
        import_ia3(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a JSON file"),
        ("[1]", "expected a JSON object"),
        ("[" * 100_000, "expected a JSON file"),
        (" " * 2_000_000, r"expected a file of at most 1 MiB, got '1\.9 MiB'"),
    ],
)
def test_broken_configurations(text: str, message: str, tmp_path: Path) -> None:
    adapter(tmp_path, GOOD)
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(InputError, match=message):
        import_ia3(tmp_path)


def test_pickled_tensors_are_not_read(tmp_path: Path) -> None:
    adapter(tmp_path, GOOD)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(InputError, match="expected the adapter's tensors as safetensors"):
        import_ia3(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"\xff" * 64, b"\x08" + b"\0" * 7 + b"{}"])
def test_damaged_tensors(content: bytes, tmp_path: Path) -> None:
    adapter(tmp_path, GOOD)
    (tmp_path / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"adapter_model\.safetensors: expected"):
        import_ia3(tmp_path)


def test_truncated_tensors(tmp_path: Path) -> None:
    path = adapter(tmp_path, GOOD) / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="expected a safetensors file"):
        import_ia3(tmp_path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "version: expected 1, got None"),
        ({"version": 1}, "expected a mapping"),
        ({"version": 1, "task": 3, "plan": {"version": 1, "tasks": {}}}, "tasks: expected"),
        (
            {
                "version": 1,
                "task": "other",
                "plan": {
                    "version": 1,
                    "tasks": {
                        "a": {"interventions": [{"layer": 0, "multiplier": 2, "neurons": [1]}]}
                    },
                },
            },
            "task: expected the one task of its plan, got 'other'",
        ),
    ],
)
def test_broken_records(record: dict[str, Any], message: str, tmp_path: Path) -> None:
    adapter(tmp_path, GOOD)
    (tmp_path / "sna_export.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=message):
        import_ia3(tmp_path)
