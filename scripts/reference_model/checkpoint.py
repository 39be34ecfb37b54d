"""Write and read the state of a training run, so that a killed run goes on where it was.

One safetensors file holds weights, optimizer moments, progress and settings; nothing is pickled.
It is written under another name first and then renamed, so there is never half of one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

_STATE = "training-state.safetensors"


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    step: int = 0
    """Steps done."""
    seconds: float = 0.0
    """Training time so far, over all interruptions."""


def save_checkpoint(
    folder: Path,
    *,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    settings: dict[str, object],
) -> None:
    """Write model, AdamW moments and progress; `settings` says which run they belong to."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach().cpu().contiguous()
        for key, value in optimizer.state[parameter].items():
            tensors[f"{key}.{name}"] = torch.as_tensor(value).detach().cpu().contiguous()
    metadata = {
        "step": str(progress.step),
        "seconds": str(progress.seconds),
        "settings": json.dumps(settings, sort_keys=True),
    }
    partial = folder / (_STATE + ".partial")
    save_file(tensors, partial, metadata=metadata)
    partial.replace(folder / _STATE)


def load_checkpoint(
    folder: Path,
    *,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: dict[str, object],
) -> Progress:
    """Restore a run and say how far it had come; no progress without a checkpoint of `settings`."""
    path = folder / _STATE
    if not path.is_file():
        return Progress()
    with safe_open(path, "pt") as state:
        metadata = state.metadata()
    if metadata["settings"] != json.dumps(settings, sort_keys=True):
        return Progress()
    tensors = load_file(path)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
            optimizer.state[parameter] = _moments(tensors, name, parameter)
    return Progress(step=int(metadata["step"]), seconds=float(metadata["seconds"]))


def _moments(
    tensors: dict[str, torch.Tensor], name: str, parameter: torch.nn.Parameter
) -> dict[str, torch.Tensor]:
    """AdamW's state of one parameter."""
    keys = ("step", "exp_avg", "exp_avg_sq")
    return {key: tensors[f"{key}.{name}"].to(parameter.device) for key in keys}
