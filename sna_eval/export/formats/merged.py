"""Amplification as a checkpoint of its own: the output projection's columns scaled.

Loads anywhere, costs nothing at run time, and cannot be switched off: the gate then needs the base
model beside it.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from sna_eval.errors import InputError
from sna_eval.export.format import ExportFormat
from sna_eval.export.scaling import LayerScaling
from sna_eval.export.source import Source
from sna_eval.export.weights import check_finite, is_transposed, neurons_last

_LOADING = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("PATH/TO/THIS/FOLDER")
tokenizer = AutoTokenizer.from_pretrained("PATH/TO/THIS/FOLDER")
```

`lm_eval --model hf --model_args pretrained=PATH/TO/THIS/FOLDER --tasks {task}` scores every item
with the amplified model. Amplification cannot be switched off here; the base model is {name}."""


def write_merged(source: Source, folder: Path) -> None:
    """Writes the model with scaled weights, in the dtype it was loaded in, and its tokenizer.

    The loaded model stays as it is, and only the scaled weights are held twice.

    **Raises:** `InputError` for a quantized model: whatever is given to it, it saves its own.
    """
    state = dict(source.model.state_dict())
    model = _plain(source.model, state)
    for scaling in source.channel_scalings:
        name = f"{source.name_of(scaling)}.weight"
        state[name] = _scaled(source, scaling, name)
    model.save_pretrained(str(folder), state_dict=state)
    source.tokenizer.save_pretrained(str(folder))


def _plain(model: Any, state: dict[str, torch.Tensor]) -> Any:
    """The model, without a quantizer where that has left nothing quantized.

    Files in the GGUF format are unpacked as they are loaded, where no kernel computes in their
    blocks: what is in memory then is a model like any other, whose quantizer would refuse to save.
    """
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is None:
        return model
    described = getattr(model.config, "quantization_config", None)
    unpacked = all(tensor.is_floating_point() for tensor in state.values())
    if getattr(described, "quant_method", None) != "gguf" or not unpacked:
        raise InputError(
            "format", expected="a model without quantization, for merged weights",
            got=type(quantizer).__name__,
            hint="load the model unquantized, or use --format ia3",
        )  # fmt: skip
    plain = copy.copy(model)  # shares all modules and tensors
    plain.config = copy.deepcopy(model.config)
    del plain.hf_quantizer, plain.config.quantization_config
    return plain


def _scaled(source: Source, scaling: LayerScaling, name: str) -> torch.Tensor:
    """A projection's weight with the units' columns scaled, the layer's way round."""
    projection = source.projection(scaling)
    weight = neurons_last(projection, name)
    index = torch.tensor(scaling.neurons, device=weight.device)
    factors = torch.tensor(list(scaling.factors.values()), dtype=torch.float64)
    columns = weight[:, index].to("cpu", torch.float64) * factors
    scaled = weight.index_copy(1, index, columns.to(weight.device, weight.dtype))
    check_finite(scaled, name)
    return (scaled.T if is_transposed(projection) else scaled).contiguous()


def _loading(source: Source) -> str:
    return _LOADING.format(task=source.task, name=source.shown_name)


FORMAT = ExportFormat(
    name="merged",
    what="a checkpoint whose output projections have scaled columns",
    library="transformers",
    write=write_merged,
    loading=_loading,
)
