"""Amplification as a PEFT LoRA adapter, which vLLM, SGLang and TensorRT-LLM serve per request.

Scaling the inputs `S` of a linear layer `W` by `m` adds `W[:, S] diag(m - 1)` applied to `x[S]`:
a LoRA (Hu et al. 2021, arXiv:2106.09685) of rank `|S|` whose `A` picks the neurons by one-hot rows
and whose `B` holds the scaled columns. With `lora_alpha = r` its own scaling factor is 1.

All layers get the largest layer's rank, short ones filled up with zeros: PEFT could give each its
own (`rank_pattern`), but several engines read one rank for the whole adapter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sna_eval.export.adapters import adapter_loading, base_fields, save_adapter
from sna_eval.export.format import ExportFormat
from sna_eval.export.scaling import LayerScaling
from sna_eval.export.source import Source
from sna_eval.export.weights import check_finite, is_transposed, neurons_last

_VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_SERVING = """

The rank is {rank}. vLLM: `vllm serve {name} --enable-lora --max-loras 2 --max-lora-rank {slot} \\
--lora-target-modules {modules} --lora-modules sna=PATH/TO/THIS/FOLDER`, then `"model": "sna"` in a
request. `sna-eval verify` says whether what is served acts as the plan does."""


def lora_rank(source: Source) -> int:
    """The adapter's rank: inputs scaled in the module that has most; a head has `d_head`."""
    return max(len(scaling.factors) for scaling in source.channel_scalings)


def last_names(source: Source) -> tuple[str, ...]:
    """The last names of the modules that the adapter is on, by which engines know them."""
    paths = (source.name_of(scaling) for scaling in source.scalings)
    return tuple(dict.fromkeys(path.rpartition(".")[2] for path in paths))


def vllm_slot(rank: int) -> int:
    """The smallest of vLLM's ranks that an adapter fits in."""
    return next((size for size in _VLLM_RANKS if size >= rank), rank)


def write_lora(source: Source, folder: Path) -> None:
    """Writes `adapter_config.json` and `adapter_model.safetensors`."""
    rank = lora_rank(source)
    tensors = {}
    for scaling in source.channel_scalings:
        module = source.name_of(scaling)
        weight = neurons_last(source.projection(scaling), module)
        down, up = low_rank(scaling, weight, rank)
        check_finite(up, module)
        tensors[f"{module}.lora_A.weight"] = down
        tensors[f"{module}.lora_B.weight"] = up
    save_adapter(_config(source, rank), tensors, folder)


def low_rank(
    scaling: LayerScaling, weight: torch.Tensor, rank: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two factors of what amplification adds to a weight.

    **Arguments:**

    - `weight`: `[d_model, d_mlp]`.
    - `rank`: at least the number of neurons.

    **Returns:** `A`, `[rank, d_mlp]`, and `B`, `[d_model, rank]`, in float32.
    """
    d_model, d_mlp = weight.shape
    count = len(scaling.neurons)
    index = torch.tensor(scaling.neurons)
    down = torch.zeros(rank, d_mlp)
    down[torch.arange(count), index] = 1.0
    columns = weight[:, index.to(weight.device)].to("cpu", torch.float64)
    up = torch.zeros(d_model, rank)
    up[:, :count] = (columns * (scaling.vector(d_mlp)[index] - 1)).to(torch.float32)
    return down, up


def _config(source: Source, rank: int) -> Any:
    """The configuration with the shortest module names that mean the right layers and no others.

    Engines other than PEFT know projections by their last name (`down_proj`) rather than by path.
    """
    from peft import LoraConfig

    modules = [source.name_of(scaling) for scaling in source.scalings]
    units = dict.fromkeys(scaling.unit for scaling in source.scalings)
    paths = [source.sites.of(unit).projection_path for unit in units]
    short = [path.rpartition(".")[2] for path in paths]
    layers = list(dict.fromkeys(scaling.layer for scaling in source.scalings))
    for names, of_layers in ((short, layers), (paths, layers), (modules, None)):
        config = LoraConfig(
            r=rank,
            lora_alpha=rank,
            lora_dropout=0.0,
            bias="none",
            target_modules=names,
            layers_to_transform=of_layers,
            fan_in_fan_out=is_transposed(source.projection(source.scalings[0])),
            **base_fields(source),
        )
        if _targets(config, source.model) == set(modules):
            return config
    raise AssertionError("whole paths name the modules they are the paths of")


def _targets(config: Any, model: Any) -> set[str]:
    """The modules that PEFT would put an adapter on."""
    from peft.tuners.tuners_utils import check_target_module_exists

    names = (name for name, _ in model.named_modules())
    return {name for name in names if check_target_module_exists(config, name)}


def _loading(source: Source) -> str:
    text, rank = adapter_loading(source), lora_rank(source)
    if source.gguf_file is not None:  # an engine would have to be given the same unpacked weights
        return f"{text}\n\nThe rank is {rank}."
    return text + _SERVING.format(
        rank=rank, slot=vllm_slot(rank), modules=" ".join(last_names(source)), name=source.name
    )


FORMAT = ExportFormat(
    name="lora",
    what="a PEFT LoRA adapter on output projections, computed, not trained",
    library="peft",
    write=write_lora,
    loading=_loading,
)
