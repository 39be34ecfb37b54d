"""What every PEFT adapter folder holds: its configuration, its tensors, and how it is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sna_eval.export.source import Source

PREFIX = "base_model.model."
"""What PEFT puts before a module's path in the name of a tensor."""
TENSORS_NAME = "adapter_model.safetensors"
CONFIG_NAME = "adapter_config.json"

_LOADING = """\
```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained({base})
model = PeftModel.from_pretrained(base, "PATH/TO/THIS/FOLDER")
with model.disable_adapter():
    ...  # the base model, to the last bit
```

`lm_eval --model hf --model_args {model_args},peft=PATH/TO/THIS/FOLDER --tasks {task}`
scores every item with the amplified model."""


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


def adapter_loading(source: Source) -> str:
    """The card's section on how to load it on its base."""
    further = {"revision": source.revision, "gguf_file": source.gguf_file}
    given = {name: value for name, value in further.items() if value is not None}
    words = [
        json.dumps(source.name),
        *(f"{key}={json.dumps(value)}" for key, value in given.items()),
    ]
    pairs = [f"pretrained={source.name}"]
    if source.gguf_file is not None:
        pairs.append(f"gguf_file={source.gguf_file}")
    text = _LOADING.format(base=", ".join(words), model_args=",".join(pairs), task=source.task)
    return text + _padded_vocabulary(source)


def _padded_vocabulary(source: Source) -> str:
    """A warning about lm_eval, which with `peft=` resizes the vocabulary to the tokenizer's."""
    vocabulary, tokens = source.model.get_input_embeddings().weight.shape[0], len(source.tokenizer)
    if vocabulary == tokens:
        return ""
    return (
        f" This model has {vocabulary} vocabulary entries and its tokenizer {tokens}; with `peft=` "
        "lm_eval makes the two equal, so its scores differ by what the other entries would get. "
        "`sna-eval export --format merged` is scored as it is."
    )
