"""Write the finished model as a Hugging Face folder: float16 weights that load as float32."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from .errors import UserInputError
from .tokenizer import save_tokenizer

MAX_BYTES = 16 * 2**20


def ship(model: GPT2LMHeadModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Save model and tokenizer; refuse a folder that would be larger than 16 MiB."""
    half = copy.deepcopy(model).cpu().half()
    half.config.activation_function = "gelu_new"  # the same function under GPT-2's own name
    size = sum(p.numel() * p.element_size() for p in half.parameters())
    if size > MAX_BYTES:
        raise UserInputError(
            f"--width, --layers: expected at most {MAX_BYTES} bytes of weights, got {size}; "
            "choose a smaller model"
        )
    folder.mkdir(parents=True, exist_ok=True)
    half.save_pretrained(folder)
    save_tokenizer(tokenizer, folder, context_length=model.config.n_positions)
    _load_as_float32(folder / "config.json")
    (folder / "model.safetensors").chmod(0o644)  # written for its owner alone


def load_shipped(folder: Path) -> GPT2LMHeadModel:
    """The shipped model in float32, ready to measure."""
    return GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()


def _load_as_float32(config: Path) -> None:
    """State float32, so that a loader that follows the config computes in it."""
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings.pop("dtype", None)
    settings["torch_dtype"] = "float32"  # also read by releases that write "dtype"
    config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
