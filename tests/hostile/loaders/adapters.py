"""IA3 adapters, PEFT's own and those that this package exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from sna_eval.export import import_ia3
from sna_eval.gating import Gate
from sna_eval.plan import Plan, PlannedIntervention, TaskPlan, plan_to_dict, save_plan
from tests.hostile.fuzz import Seed
from tests.hostile.loaders.base import TASK, Files, Loader
from tests.hostile.loaders.formats import tensors_seed

NAME = "base_model.model.transformer.h.2.mlp.c_proj.ia3_l"
VECTOR = torch.ones(1, 16)
VECTOR[0, 3] = 2.5
_CONFIG = {"peft_type": "IA3", "base_model_name_or_path": "gpt2", "target_modules": ["c_proj"]}
_TASK_PLAN = TaskPlan(Gate(), (PlannedIntervention(2, 2.5, neurons={"": (3,)}),))


def _record() -> dict[str, Any]:
    return {"version": 1, "task": TASK, "plan": plan_to_dict(Plan({TASK: _TASK_PLAN}))}


def _adapter() -> Files:
    return {
        "adapter_config.json": json.dumps(_CONFIG).encode(),
        "adapter_model.safetensors": save({NAME: VECTOR}),
    }


def _load(folder: Path) -> None:
    """What is imported can be written as a plan."""
    plan = import_ia3(folder)
    save_plan(plan, folder / "plan.yaml")
    plan_to_dict(plan)


LOADERS = {
    "ia3": Loader(
        "adapter_model.safetensors", lambda: [tensors_seed({NAME: VECTOR})], _load, _adapter
    ),
    "ia3 config": Loader("adapter_config.json", lambda: [Seed.json(_CONFIG)], _load, _adapter),
    "ia3 record": Loader("sna_export.json", lambda: [Seed.json(_record())], _load, _adapter),
}
