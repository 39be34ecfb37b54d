"""What every PEFT adapter folder holds: its configuration and its tensors, as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sna_eval.export.source import Source

PREFIX = "base_model.model."
"""What PEFT puts before a module's path in the name of a tensor."""
TENSORS_NAME = "adapter_model.safetensors"
CONFIG_NAME = "adapter_config.json"


def base_fields(source: Source) -> dict[str, Any]:
    """Fields that every PEFT configuration has, whatever the kind of adapter."""
    return {
        "task_type": "CAUSAL_LM",
        "inference_mode": True,
        "base_model_name_or_path": source.name,
        "revision": source.revision,
    }


def save_adapter(config: Any, tensors: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Writes a configuration and tensors, given by module path and the parameter's own name."""
    from safetensors.torch import save_file

    config.save_pretrained(str(folder))
    named = {f"{PREFIX}{name}": tensor.contiguous() for name, tensor in tensors.items()}
    save_file(named, folder / TENSORS_NAME, metadata={"format": "pt"})
