"""Plans, and the vectors beside them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from sna_eval.gating import Gate
from sna_eval.intervention import Vector
from sna_eval.plan import (
    Plan,
    PlannedIntervention,
    TaskPlan,
    bundled_plans,
    load_plan,
    plan_fingerprint,
    plan_to_dict,
    save_plan,
)
from tests.hostile.fuzz import Seed
from tests.hostile.loaders.base import TASK, Files, Loader
from tests.hostile.loaders.formats import tensors_seed

RESOLVED: dict[str, Any] = {
    "version": 1,
    "model": {"name": "tiny", "n_layers": 4, "d_mlp": 64},
    "defaults": {"gate": {"signal": "target_prob", "low": 0.07, "high": 0.1}},
    "tasks": {
        "sna_math_*": {
            "gate": "always",
            "interventions": [
                {"layer": 1, "multiplier": 2.5, "neurons": [1, 2], "scores": [0.5, 0.25],
                 "found": {"method": "differential", "model_hash": "00"}},
                {"layer": 3, "multiplier": 2, "positions": "last", "direction": "predicted",
                 "neurons": {"positive": [3], "negative": [4, 5]}},
            ],
        },
        "sna_sst2": {
            "gate": {"signal": "margin", "low": 0.3, "high": 0.6, "transition": "leave"},
            "interventions": [
                {"layer": 2, "multiplier": 12.0, "direction": "both",
                 "select": {"method": "contrastive", "top_k": 10, "pooling": "mean"}},
            ],
        },
    },
}  # fmt: skip
METHODS: dict[str, Any] = {
    "version": 1,
    "tasks": {
        "a": {"interventions": [
            {"method": "caa", "layer": 1, "strength": 2.0, "parameters": {"vector": [0.5, -1.0]}},
            {"method": "temperature", "parameters": {"temperature": [1.5]}},
            {"method": "ia3", "layer": 2, "parameters": {"layer_002": [1.0, 2.0]}},
            {"method": "actadd", "layer": 0, "parameters": {"token_000": [0.1], "token_001": [0.2]},
             "options": {"pair": ["Love", "Hate"]}},
            {"method": "few_shot", "parameters": {"prompt": "1 + 1 = 2"}, "options": {"k": 1}},
            {"method": "activscalar", "layer": 1, "parameters": {"attention": [1.0], "mlp": [2.0]}},
        ]},
        "b": {"interventions": [
            {"method": "random_neurons", "layer": 1, "multiplier": 2.0,
             "select": {"method": "differential", "top_k": 3}, "options": {"seed": 1}},
            {"method": "other_layer", "layer": 1, "multiplier": 2.0, "neurons": [1],
             "options": {"other": 2}},
        ]},
        "c": {"interventions": [
            {"layer": 1, "multiplier": 2.0, "select": {"method": "attribution", "top_k": 3}},
            {"layer": 2, "multiplier": 2.0, "select": {"method": "random", "seed": 4}},
        ]},
    },
}  # fmt: skip
"""What the other methods keep in a plan, as somebody may have edited it."""


def _seeds() -> list[Seed]:
    bundled = [Seed.yaml(plan_to_dict(load_plan(name))) for name in bundled_plans()]
    return [Seed.yaml(RESOLVED), *bundled[:1], Seed.yaml(METHODS)]


def _load(folder: Path) -> None:
    """What is accepted must come back equal, and be something that can be built."""
    plan = load_plan(folder / "plan.yaml")
    save_plan(plan, folder / "again.yaml")
    assert plan_fingerprint(load_plan(folder / "again.yaml")) == plan_fingerprint(plan)
    for task in plan.tasks.values():
        for entry in task.interventions:
            if entry.resolved:
                entry.built()


def _with_vectors() -> Files:
    """A plan with a long vector, and the file beside it."""
    vector = Vector.of(number / 7 for number in range(70))
    entry = PlannedIntervention(1, method="caa", parameters={"vector": vector})
    with tempfile.TemporaryDirectory() as folder:
        save_plan(Plan({TASK: TaskPlan(Gate(), (entry,))}), Path(folder) / "plan.yaml")
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def _vector_seeds() -> list[Seed]:
    values = torch.tensor([number / 7 for number in range(70)])
    return [tensors_seed({Vector(values).sha256: values})]


LOADERS = {
    "plan": Loader("plan.yaml", _seeds, _load),
    "vectors": Loader("plan.safetensors", _vector_seeds, _load, _with_vectors),
}
