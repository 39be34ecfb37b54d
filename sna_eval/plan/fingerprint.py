"""Short hashes that say what made a result: of plans, prompts and models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from sna_eval.intervention import base_model
from sna_eval.intervention.devices import whole_tensors
from sna_eval.methods import Examples
from sna_eval.plan.files import plan_to_dict, task_to_dict
from sna_eval.plan.schema import Plan, TaskPlan

_REMARKS = ("found", "scores")
"""What an entry of a plan says beside what it does."""
_LENGTH = 16  # hexadecimal digits: 64 bits, ample against chance collisions
_ORIGINS = ("_name_or_path", "base_model_name_or_path", "transformers_version", "peft_version")
"""What of a config says where a model came from, and not what it computes."""
_VALUES_PER_TENSOR = 64  # evenly spaced, beside the edges


def plan_fingerprint(plan: Plan) -> str:
    """Hash of everything a plan says."""
    return digest(plan_to_dict(plan))


def task_fingerprint(task: TaskPlan) -> str:
    """Hash of one task's plan, neurons included."""
    return digest(task_to_dict(task))


def acting_fingerprint(task: Mapping[str, Any]) -> str:
    """Hash of what a task's plan does, however it was found.

    **Arguments:**

    - `task`: as `task_to_dict` writes it, and with it plan and result files.
    """
    return digest({"gate": task["gate"], "interventions": _acting(task["interventions"])})


def neurons_fingerprint(task: TaskPlan) -> str:
    """Hash of what acts, behind any gate."""
    return digest(_acting(task_to_dict(task)["interventions"]))


def _acting(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in entry.items() if name not in _REMARKS} for entry in entries
    ]


def prompt_fingerprint(texts: Sequence[str]) -> str:
    """Hash of prompts, in order."""
    return digest(list(texts))


def answers_fingerprint(examples: Examples) -> str:
    """Hash of development items with their right answers, in order."""
    asked = examples.questions
    return prompt_fingerprint([text for own in asked for text in (own.context, own.answer)])


def model_fingerprint(model: nn.Module) -> str:
    """Hash of a model's tensors: names, shapes, and a sample of the values of each.

    The sample keeps it quick for any size: evenly spaced values, and the edges, whole. Two
    checkpoints of one run differ in every tensor; a neuron that is scaled, as by this package's
    exports, is a column or row of its projection, and every one of these crosses an edge. Values
    are compared as float32, so the dtype a model is loaded in counts through rounding only.
    A PEFT wrapper does not count, the adapter in it does.
    """
    described = [
        (name, list(tensor.shape), _sample(tensor))
        for name, tensor in whole_tensors(base_model(model))
    ]
    return digest(described)


def config_fingerprint(model: nn.Module) -> str:
    """Hash of a model's config, and of its adapters': scales and routing are no tensors."""
    adapters = getattr(model, "peft_config", None) or {}
    own: Any = base_model(model)
    return digest([_plain(own.config), {name: _plain(it) for name, it in adapters.items()}])


def _plain(value: Any) -> Any:
    """Something JSON takes, the same in every process."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): _plain(own) for key, own in value.items() if key not in _ORIGINS}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_plain(own) for own in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _sample(tensor: torch.Tensor) -> str:
    """Hash of evenly spaced values and of the first row and column, of each matrix in a stack."""
    if tensor.is_meta or tensor.numel() == 0:
        return ""
    values = tensor.detach()
    flat = values.reshape(-1)
    stride = max(1, flat.numel() // _VALUES_PER_TENSOR)
    parts = [flat[::stride][:_VALUES_PER_TENSOR]]
    parts += [values[..., 0], values[..., 0, :]] if values.dim() > 1 else [flat]
    found = hashlib.sha256()
    for part in parts:
        found.update(part.float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:_LENGTH]


def digest(value: Any) -> str:
    """Hash of plain JSON values."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_LENGTH]
