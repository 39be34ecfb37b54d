"""Short hashes that say what made a result: of plans, prompts and models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sna_eval.intervention import base_model
from sna_eval.intervention.devices import whole_tensors
from sna_eval.methods import Examples
from sna_eval.plan.files import plan_to_dict, task_to_dict
from sna_eval.plan.schema import Plan, TaskPlan

_LENGTH = 16  # hexadecimal digits: 64 bits, ample against chance collisions
_VALUES_PER_TENSOR = 64


def plan_fingerprint(plan: Plan) -> str:
    """Hash of everything a plan says."""
    return digest(plan_to_dict(plan))


def task_fingerprint(task: TaskPlan) -> str:
    """Hash of one task's plan, neurons included."""
    return digest(task_to_dict(task))


def prompt_fingerprint(texts: Sequence[str]) -> str:
    """Hash of prompts, in order."""
    return digest(list(texts))


def answers_fingerprint(examples: Examples) -> str:
    """Hash of development items with their right answers, in order."""
    asked = examples.questions
    return prompt_fingerprint([text for own in asked for text in (own.context, own.answer)])


def model_fingerprint(model: nn.Module) -> str:
    """Hash of a model's tensors: names, shapes, and 64 evenly spaced values of each.

    Reading a sample keeps it quick for any size; two checkpoints of one run differ in every tensor.
    Values are compared as float32, so the dtype a model is loaded in counts through rounding only.
    A PEFT wrapper does not count, the adapter in it does.
    """
    described = [
        (name, list(tensor.shape), _sample(tensor))
        for name, tensor in whole_tensors(base_model(model))
    ]
    return digest(described)


def _sample(tensor: torch.Tensor) -> list[float]:
    if tensor.is_meta or tensor.numel() == 0:
        return []
    flat = tensor.detach().reshape(-1)
    stride = max(1, flat.numel() // _VALUES_PER_TENSOR)
    return [float(value) for value in flat[::stride][:_VALUES_PER_TENSOR].float().cpu()]


def digest(value: Any) -> str:
    """Hash of plain JSON values."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_LENGTH]
