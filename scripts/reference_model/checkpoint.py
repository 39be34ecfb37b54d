"""Write and read the state of a training run, so that a killed run goes on where it was.

Weights and optimizer moments as safetensors, the step as JSON beside them; nothing is pickled. A
checkpoint is written under another name first and then renamed, so there is never half of one.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

_STATE = "training-state.safetensors"
_META = "training-state.json"


def save_checkpoint(
    folder: Path,
    *,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    settings: dict[str, object],
) -> None:
    """Write model, AdamW moments and step; `settings` says which run they belong to."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach().cpu().contiguous()
        for key, value in optimizer.state[parameter].items():
            tensors[f"{key}.{name}"] = torch.as_tensor(value).detach().cpu().contiguous()
    partial = folder / (_STATE + ".partial")
    meta = {"step": str(step), "settings": json.dumps(settings, sort_keys=True)}
    save_file(tensors, partial, metadata=meta)
    partial.replace(folder / _STATE)
    (folder / _META).write_text(json.dumps({"step": step, "settings": settings}, indent=2) + "\n")


def load_checkpoint(
    folder: Path,
    *,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: dict[str, object],
) -> int:
    """Restore a run; gives the step to go on from, 0 without a checkpoint of these settings."""
    meta_path, state_path = folder / _META, folder / _STATE
    if not meta_path.is_file() or not state_path.is_file():
        return 0
    meta = json.loads(meta_path.read_text())
    if meta["settings"] != json.loads(json.dumps(settings)):
        return 0
    tensors = load_file(state_path)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
            optimizer.state[parameter] = _moments(tensors, name, parameter)
    return int(meta["step"])


def _moments(
    tensors: dict[str, torch.Tensor], name: str, parameter: torch.nn.Parameter
) -> dict[str, torch.Tensor]:
    """AdamW's state of one parameter."""
    state = {
        key: tensors[f"{key}.{name}"].to(parameter.device) for key in ("exp_avg", "exp_avg_sq")
    }
    return {"step": tensors[f"step.{name}"], **state}
