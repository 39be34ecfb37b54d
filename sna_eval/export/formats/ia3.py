"""Amplification as a PEFT IA3 adapter: a vector on the output projection's input.

IA3 (Liu et al. 2022, arXiv:2205.05638) multiplies activations by learned vectors; in PEFT a layer
listed in `feedforward_modules` has its *input* multiplied. That is amplification, with the vector
`m` on the chosen neurons and 1 elsewhere. Nothing is learned here, and no weight is read, so
quantized models can be exported too.
"""

from __future__ import annotations

from pathlib import Path

import torch

from sna_eval.export.adapters import adapter_loading, base_fields, save_adapter
from sna_eval.export.format import ExportFormat
from sna_eval.export.scaling import LayerScaling
from sna_eval.export.source import Source
from sna_eval.export.weights import is_transposed


def write_ia3(source: Source, folder: Path) -> None:
    """Writes `adapter_config.json` and `adapter_model.safetensors`."""
    from peft import IA3Config

    modules = [source.name_of(scaling) for scaling in source.scalings]
    config = IA3Config(
        target_modules=modules,  # whole paths: IA3 has no list of layers
        feedforward_modules=modules,
        fan_in_fan_out=is_transposed(source.projection(source.scalings[0])),
        **base_fields(source),
    )
    tensors = {
        f"{module}.ia3_l": scaling.vector(_width(source, scaling)).to(torch.float32).unsqueeze(0)
        for module, scaling in zip(modules, source.channel_scalings, strict=True)
    }
    save_adapter(config, tensors, folder)


def _width(source: Source, scaling: LayerScaling) -> int:
    """Inputs of a scaling's module."""
    seen = source.sites.of(scaling.unit)
    return seen.n_units * seen.channels


FORMAT = ExportFormat(
    name="ia3",
    what="a PEFT IA3 adapter: a vector on the input of output projections",
    library="peft",
    write=write_ia3,
    loading=adapter_loading,
)
