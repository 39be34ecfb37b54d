"""Amplification as a checkpoint of its own: the output projection's columns scaled.

Loads anywhere, costs nothing at run time, and cannot be switched off: the gate then needs the base
model beside it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from sna_eval.errors import InputError
from sna_eval.export.scaling import LayerScaling
from sna_eval.export.source import Source
from sna_eval.export.weights import check_finite, is_transposed, neurons_last


def write_merged(source: Source, folder: Path) -> None:
    """Writes the model with scaled weights, in the dtype it was loaded in, and its tokenizer.

    The loaded model stays as it is, and only the scaled weights are held twice.

    **Raises:** `InputError` for a quantized model: whatever is given to it, it saves its own.
    """
    if getattr(source.model, "hf_quantizer", None) is not None:  # saves weights of its own
        raise InputError(
            "format", expected="a model without quantization, for merged weights",
            got=type(source.model.hf_quantizer).__name__,
            hint="load the model unquantized, or use --format ia3",
        )  # fmt: skip
    state = dict(source.model.state_dict())
    for scaling in source.scalings:
        name = f"{source.module_name(scaling.layer)}.weight"
        state[name] = _scaled(source, scaling, name)
    source.model.save_pretrained(str(folder), state_dict=state)
    source.tokenizer.save_pretrained(str(folder))


def _scaled(source: Source, scaling: LayerScaling, name: str) -> torch.Tensor:
    """A projection's weight with the neurons' columns scaled, the layer's way round."""
    projection = source.sites.projections[scaling.layer]
    weight = neurons_last(projection, name)
    index = torch.tensor(scaling.neurons, device=weight.device)
    factors = torch.tensor(list(scaling.factors.values()), dtype=torch.float64)
    columns = weight[:, index].to("cpu", torch.float64) * factors
    scaled = weight.index_copy(1, index, columns.to(weight.device, weight.dtype))
    check_finite(scaled, name)
    return (scaled.T if is_transposed(projection) else scaled).contiguous()
