"""Vectors in the files that lm_eval's own `--model steered` reads, acting at every token.

lm_eval takes vectors as a pickle alone, which is written for it and read nowhere here. The same
stands beside it as safetensors, for `method: steered`. A plan whose vectors all came of rows of
lm_eval's CSV gets that CSV too, with the strengths in its coefficients.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from sna_eval.errors import InputError
from sna_eval.export.format import ExportFormat
from sna_eval.export.source import Source
from sna_eval.export.vectors import LayerVector
from sna_eval.intervention.features import outputs_of
from sna_eval.methods.steered import COLUMNS

FILE_NAME = "steered.pt"
SAFE_NAME = "steered.safetensors"
CSV_NAME = "steered.csv"
_LOADING = """\
`lm_eval --model steered --model_args pretrained={name},steer_path=PATH/TO/THIS/FOLDER/{file} \\
--tasks {task}` scores every item with the vectors acting. lm_eval reads the file as a pickle, which
can run code: take such files from people you trust. `{safe}` holds the same without code; a plan
reads it by `{{method: steered, options: {{file: PATH/TO/THIS/FOLDER/{safe}}}}}`."""


def write_steered(source: Source, folder: Path) -> None:
    """Writes the vectors by the names of modules in the model's inner part."""
    from safetensors.torch import save_file

    content: dict[str, dict[str, Any]] = {}
    tensors: dict[str, torch.Tensor] = {}
    for vector in source.vectors:
        name = _hookpoint(source, vector)
        if name in content:  # the last block's stream may be what its MLP writes
            raise InputError(
                f"tasks.{source.task}", expected="one intervention a hook point", got=name
            )
        content[name] = {
            "action": vector.action,
            "steering_vector": vector.values,
            "steering_coefficient": vector.coefficient,
            "bias": vector.bias,
            "head_index": None,
        }
        stem = f"{name}/{vector.action}"
        tensors[f"{stem}/steering_vector"] = vector.values.clone()
        tensors[f"{stem}/steering_coefficient"] = torch.tensor(vector.coefficient)
        if vector.bias is not None:
            tensors[f"{stem}/bias"] = vector.bias.clone()
    torch.save(content, folder / FILE_NAME)
    save_file(tensors, folder / SAFE_NAME)
    rows = list(_rows(source))
    if rows:
        with (folder / CSV_NAME).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)


def _hookpoint(source: Source, vector: LayerVector) -> str:
    """A module's path in `model.base_model`, where lm_eval looks for it."""
    target = outputs_of(source.sites, vector.place)[vector.layer]
    modules = source.model.base_model.named_modules()
    return next(str(name) for name, module in modules if module is target)


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    """Rows of a CSV that the plan's vectors came of; none where one of them did not."""
    told = [
        entry.found.further.get("rows") if entry.found is not None else None
        for entry in source.plan.interventions
    ]
    if not all(isinstance(rows, list) for rows in told):
        return
    for entry, rows in zip(source.plan.interventions, told, strict=True):
        for row in rows or []:
            cells = {name: row.get(name, "") for name in COLUMNS}
            if cells["action"] != "clamp":
                cells["steering_coefficient"] = (
                    float(cells["steering_coefficient"]) * entry.strength
                )
            yield cells


def _loading(source: Source) -> str:
    return _LOADING.format(name=source.name, file=FILE_NAME, safe=SAFE_NAME, task=source.task)


FORMAT = ExportFormat(
    name="steered",
    what="a file of steering vectors for lm_eval's `steered` model",
    library="lm_eval",
    holds="vectors",
    write=write_steered,
    loading=_loading,
)
