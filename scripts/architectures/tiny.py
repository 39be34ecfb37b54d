"""Builds a tiny random model from the table of configs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

_TABLE = Path(__file__).with_name("configs.yaml")
_LARGEST = 4_000_000
"""Parameters: a config that makes more is not tiny, and its entry is wrong."""


@dataclass(frozen=True)
class Entry:
    """One architecture of the table."""

    name: str
    """transformers' model type."""
    trait: str
    """What is worth trying about it."""
    config: dict[str, Any]


def entries() -> dict[str, Entry]:
    """The table, by name."""
    table = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))["architectures"]
    return {name: Entry(name, one["trait"], one["config"]) for name, one in table.items()}


def build(entry: Entry) -> Any:
    """The entry's model with random weights, in float32, the same at every call."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    config = CONFIG_MAPPING[entry.name](**entry.config)
    with torch.device("meta"):
        size = sum(
            parameter.numel() for parameter in AutoModelForCausalLM.from_config(config).parameters()
        )
    if size > _LARGEST:
        raise ValueError(f"{entry.name}: {size:,} parameters are not tiny")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    return model
