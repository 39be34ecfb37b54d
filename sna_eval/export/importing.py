"""A PEFT IA3 adapter back into a plan.

Every entry of a vector that is not 1 is a neuron, its value the multiplier; an intervention has one
multiplier, so a layer with several becomes several interventions. An adapter holds no gate: its
plan is ungated (`gate: always`), unless the adapter is an export of this package whose record says
what the gate was, and whose vectors are still those of its plan.

Adapters on other layers than the output projection are refused: they do not scale neurons. Vectors
on the attention's are heads, and say so only together with such a record.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sna_eval.errors import InputError
from sna_eval.export.adapters import CONFIG_NAME, PREFIX, TENSORS_NAME
from sna_eval.export.record import RECORD_NAME, read_object, read_record
from sna_eval.export.scaling import LayerScaling, Place, layer_scalings
from sna_eval.files import read_tensors
from sna_eval.gating import Gate
from sna_eval.plan import UNLABELLED, ModelSpec, Plan, PlannedIntervention, TaskPlan

MOST_MULTIPLIERS = 64
"""Different multipliers in a layer at most; a trained IA3 vector has as many as neurons."""
MOST_NEURONS = 200_000
"""Scaled neurons of all layers at most: about as many as a plan file can name."""
_LARGEST_CONFIG = 2**20  # bytes
_LARGEST_TENSORS = 256 * 2**20  # bytes; a hundred layers of 50,000 neurons take 20 MB
_TENSOR = re.compile(r"(?P<module>[\w.]+)\.ia3_l")
_ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)


def import_ia3(folder: str | Path, *, task: str = "*") -> Plan:
    """The plan that an IA3 adapter stands for.

    **Arguments:**

    - `folder`: holds `adapter_config.json` and `adapter_model.safetensors`; no other format of
        tensors is read, since those can run code.
    - `task`: task name or glob of the plan, where the adapter does not say.

    **Raises:** `InputError` for anything that is not such an adapter.
    """
    folder = Path(folder)
    config = _read_config(folder)
    vectors = _vectors(_read_tensors(folder), folder / TENSORS_NAME)
    _check_counts(vectors)
    recorded = read_record(folder)
    if recorded is not None:
        return _verified(*recorded, vectors, folder)
    _check_neurons(vectors, folder)
    interventions = tuple(
        PlannedIntervention(layer, multiplier, neurons={UNLABELLED: neurons})
        for (layer, _), vector in sorted(vectors.items())
        for multiplier, neurons in _by_multiplier(vector).items()
    )
    if not interventions:
        raise InputError(
            str(folder), expected="a vector with an entry other than 1", got="none",
            hint="this adapter changes nothing",
        )  # fmt: skip
    width = next(iter(vectors.values())).numel()
    name = config.get("base_model_name_or_path")
    model = ModelSpec(name if isinstance(name, str) else None, d_mlp=width)
    return Plan({task: TaskPlan(Gate(mode="always"), interventions)}, model)


def _read_config(folder: Path) -> dict[str, Any]:
    config = read_object(folder / CONFIG_NAME, largest=_LARGEST_CONFIG)
    if config.get("peft_type") != "IA3":
        raise InputError(
            f"{folder / CONFIG_NAME}: peft_type", expected="IA3", got=config.get("peft_type"),
            hint="only IA3 adapters say which neurons they scale",
        )  # fmt: skip
    return config


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / TENSORS_NAME
    if not path.is_file():
        raise InputError(
            str(path), expected="the adapter's tensors as safetensors", got="none",
            hint="save the adapter anew with PEFT's save_pretrained",
        )  # fmt: skip
    try:
        return read_tensors(path, largest=_LARGEST_TENSORS)
    except (ValueError, OSError) as error:
        raise InputError(
            str(path), expected="a safetensors file", got=" ".join(str(error).split())
        ) from error


def _vectors(tensors: Mapping[str, torch.Tensor], path: Path) -> dict[Place, torch.Tensor]:
    """The vector of each layer's output projection, `[d_mlp]`; the attention's beside the MLP's."""
    vectors: dict[Place, torch.Tensor] = {}
    for name, tensor in tensors.items():
        place = _place(name, path)
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor.float()).all()):
            raise InputError(f"{path}: {name}", expected="finite numbers", got=str(tensor.dtype))
        if bool((tensor == 1).all()):
            continue
        if tensor.dim() != 2 or tensor.shape[0] != 1:
            raise InputError(
                f"{path}: {name}", expected="a vector on a layer's input, [1, d_mlp]",
                got=list(tensor.shape), hint="this adapter scales outputs, which are not neurons",
            )  # fmt: skip
        if place in vectors:
            raise InputError(
                f"{path}: {name}", expected="one output projection in each layer",
                got=f"a second one in layer {place[0]}",
            )  # fmt: skip
        vectors[place] = tensor.flatten()
    for unit in ("mlp", "head"):
        _check_widths([vector for (_, of), vector in vectors.items() if of == unit], path)
    return vectors


def _place(name: str, path: Path) -> Place:
    """The block that a tensor belongs to, the first number in its module's path, and which of its
    units, the path's words."""
    match = _TENSOR.fullmatch(name.removeprefix(PREFIX))
    numbers = [p for p in match["module"].split(".") if p.isdecimal()] if match else []
    if not numbers or len(numbers[0]) > 6:
        raise InputError(
            str(path), expected=f"names like {PREFIX}transformer.h.0.mlp.c_proj.ia3_l",
            got=name, hint="this is no IA3 adapter of a decoder",
        )  # fmt: skip
    return int(numbers[0]), "head" if _ATTENTION.search(name) else "mlp"


def _check_widths(vectors: Sequence[torch.Tensor], path: Path) -> None:
    widths = {vector.numel() for vector in vectors}
    if len(widths) > 1:
        raise InputError(
            str(path), expected="vectors of one length", got=sorted(widths),
            hint="this adapter scales other layers than the output projection",
        )  # fmt: skip


def _check_neurons(vectors: Mapping[Place, torch.Tensor], folder: Path) -> None:
    """Raises `InputError` for heads: how wide one is stands in no adapter."""
    heads = [layer for layer, unit in vectors if unit == "head"]
    if heads:
        raise InputError(
            str(folder), expected=f"vectors on MLPs, or {RECORD_NAME} beside those on attention",
            got=f"one on the attention of layer {heads[0]}",
            hint="name the heads in a plan: unit: head",
        )  # fmt: skip


def _check_counts(vectors: Mapping[Place, torch.Tensor]) -> None:
    """What a plan can hold, before a neuron becomes a Python object."""
    trained = "evaluate a trained adapter with --model hf and peft="
    for (layer, _), vector in sorted(vectors.items()):
        multipliers = vector[vector != 1].unique().numel()
        if multipliers > MOST_MULTIPLIERS:
            raise InputError(
                f"layer {layer}", expected=f"at most {MOST_MULTIPLIERS} different multipliers",
                got=multipliers, hint=trained,
            )  # fmt: skip
    neurons = sum(int((vector != 1).sum()) for vector in vectors.values())
    if neurons > MOST_NEURONS:
        raise InputError(
            "adapter", expected=f"at most {MOST_NEURONS:,} scaled neurons", got=neurons,
            hint=trained,
        )  # fmt: skip


def _by_multiplier(vector: torch.Tensor) -> dict[float, tuple[int, ...]]:
    """Neurons by multiplier, gentler multipliers first."""
    neurons: dict[float, list[int]] = defaultdict(list)
    for index in (vector != 1).nonzero().flatten().tolist():
        neurons[_shortest(vector[index])].append(index)
    return {multiplier: tuple(neurons[multiplier]) for multiplier in sorted(neurons)}


def _shortest(value: torch.Tensor) -> float:
    """The decimal with fewest digits that rounds to `value` in its dtype: 1.7, not 1.70000005."""
    exact = value.float() if value.dtype == torch.bfloat16 else value
    return float(str(exact.numpy()))  # numpy prints a number as short as its dtype allows


def _verified(task: str, plan: Plan, vectors: Mapping[Place, torch.Tensor], folder: Path) -> Plan:
    """The recorded plan, if its vectors are the adapter's."""
    expected = {(it.layer, it.unit): it for it in layer_scalings(plan.tasks[task])}
    same = expected.keys() == vectors.keys() and all(
        _is_vector_of(expected[place], vector) for place, vector in vectors.items()
    )
    if not same:
        raise InputError(
            str(folder / RECORD_NAME), expected="the plan that the adapter's vectors stand for",
            got="another one", hint=f"remove {RECORD_NAME} to import the vectors alone",
        )  # fmt: skip
    return plan


def _is_vector_of(scaling: LayerScaling, vector: torch.Tensor) -> bool:
    """Of heads: for some width that they could have."""
    most = vector.numel()
    widths = [1] if scaling.unit == "mlp" else [w for w in range(2, most + 1) if most % w == 0]
    return any(
        torch.equal(scaling.vector(most // width).to(vector.dtype).repeat_interleave(width), vector)
        for width in widths
        if scaling.neurons[-1] < most // width
    )
