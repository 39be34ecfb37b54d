"""Vectors in the file that lm_eval's own `--model steered` reads, and adds at every token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sna_eval.export.format import ExportFormat
from sna_eval.export.source import Source

FILE_NAME = "steered.pt"
_LOADING = """\
`lm_eval --model steered --model_args pretrained={name},steer_path=PATH/TO/THIS/FOLDER/{file} \\
--tasks {task}` scores every item with the vectors added. lm_eval reads the file as a pickle, which
can run code: take such files from people you trust."""


def write_steered(source: Source, folder: Path) -> None:
    """Writes the vectors by the names of the blocks in the model's inner part."""
    content: dict[str, dict[str, Any]] = {
        _hookpoint(source, vector.layer): {
            "action": "add",
            "steering_vector": vector.values,
            "steering_coefficient": 1.0,
            "bias": None,
            "head_index": None,
        }
        for vector in source.vectors
    }
    torch.save(content, folder / FILE_NAME)


def _hookpoint(source: Source, layer: int) -> str:
    """A block's path in `model.base_model`, where lm_eval looks for it."""
    block = source.sites.blocks[layer]
    modules = source.model.base_model.named_modules()
    return next(str(name) for name, module in modules if module is block)


def _loading(source: Source) -> str:
    return _LOADING.format(name=source.name, file=FILE_NAME, task=source.task)


FORMAT = ExportFormat(
    name="steered",
    what="a file of steering vectors for lm_eval's `steered` model",
    library="lm_eval",
    holds="vectors",
    write=write_steered,
    loading=_loading,
)
