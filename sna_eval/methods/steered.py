"""Interventions of lm_eval's own model `steered`, read from its files: vectors added, or clamped.

At a hook point, a module's output `h`, at every token:

    add    h + coefficient * vector
    clamp  h + (coefficient - d . (h - bias)) * d,  with d = vector / |vector|

Source: lm_eval's `models/hf_steered.py`. Read are its CSV, whose rows name features of sparse
dictionaries on disk (`intervention.dictionary`), and the same content as safetensors, under the
names `HOOKPOINT/ACTION/steering_vector`, `.../steering_coefficient` and, for a clamp, `.../bias`.
Its pickles are not read: they can run code. Where two rows have one hook point, lm_eval keeps the
last; here that is refused. `strength` blends: 0 leaves `h` alone.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import torch

from sna_eval.cache import digest
from sna_eval.errors import InputError, reading
from sna_eval.files import MIB, expanded, is_file, is_folder, read_tensors, read_text
from sna_eval.intervention import Addition, Affine, Clamping, Sites, Vector
from sna_eval.intervention.dictionary import Dictionary, read_dictionary
from sna_eval.intervention.family import Action, Place
from sna_eval.intervention.features import place_of
from sna_eval.methods.method import Examples, Fitted, Method, MethodConfig, Resolution, Workbench
from sna_eval.typed import Json

COLUMNS = (
    "loader", "action", "sparse_model", "hookpoint", "feature_index", "steering_coefficient",
    "head_index", "sae_id", "description",
)  # fmt: skip
"""Of lm_eval's CSV, in its order."""
SUFFIX = ".safetensors"
_FIELD = "options.file"
_NAME = re.compile(r"layer_(\d{3})_(block|attention|mlp)_(add|clamp|value|bias)")
_LARGEST = 256 * MIB
_MOST_ROWS = 10_000
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Steer:
    """What is done at one hook point."""

    hook_point: str
    action: Action
    vector: torch.Tensor
    """`[d_model]`."""
    coefficient: float = 1.0
    bias: torch.Tensor | None = None
    """Of a clamp, `[d_model]`."""
    row: Json | None = None
    """The row of a CSV that it was read from."""


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """Vectors by layer and place; the plan then holds them, and the file is not needed any more."""
    steers = read_steers(str(wanted.options["file"]))
    parameters: dict[str, Vector] = {}
    for steer in steers:
        layer, place = _placed(bench, steer)
        stem = f"layer_{layer:03d}_{place}"
        if f"{stem}_add" in parameters or f"{stem}_clamp" in parameters:
            raise InputError(
                _FIELD, expected="each hook point once", got=f"{steer.hook_point} twice",
                hint="lm_eval would keep the last of them; remove the others",
            )  # fmt: skip
        vector = Vector(steer.vector)
        if steer.action == "add":
            parameters[f"{stem}_add"] = Vector(steer.coefficient * vector.values)
            continue
        length = float(vector.values.norm())
        if length == 0.0:
            raise InputError(_FIELD, expected="a direction to clamp", got="a vector of zeros")
        told = abs(length - 1.0) < _ROUNDING  # of length 1 already: to the bit as it was
        parameters[f"{stem}_clamp"] = vector if told else Vector(vector.values / length)
        parameters[f"{stem}_value"] = Vector.of([steer.coefficient])
        if steer.bias is not None:
            parameters[f"{stem}_bias"] = Vector(steer.bias)
    rows = [dict(steer.row) for steer in steers if steer.row is not None]
    found = sorted((name, vector.sha256) for name, vector in parameters.items())
    return Resolution(
        parameters=parameters,
        remarks={"file_hash": digest(found), **({"rows": rows} if rows else {})},
        layer=min(int(name[6:9]) for name in parameters),
    )


def build(fitted: Fitted) -> tuple[Affine, ...]:
    """One addition or clamp for every hook point."""
    acting: list[Affine] = []
    for name in sorted(fitted.parameters):
        match = _NAME.fullmatch(name)
        if match is None:
            raise InputError(
                f"parameters.{name}", expected="a name such as layer_008_block_add", got=name,
                hint="resolve the plan again: sna-eval identify",
            )  # fmt: skip
        layer, place, what = int(match[1]), match[2], match[3]
        assert place in get_args(Place)
        stem = name[: -len(what)]
        if what == "add":
            acting.append(Addition(layer, fitted.vector(name), fitted.strength, fitted.positions,
                                   site=place))  # type: ignore[arg-type]  # fmt: skip
        elif what == "clamp":
            bias = fitted.parameters.get(f"{stem}bias")
            acting.append(
                Clamping(
                    layer, fitted.vector(name), fitted.number(f"{stem}value"),
                    bias if isinstance(bias, Vector) else None, fitted.strength, fitted.positions,
                    site=place,  # type: ignore[arg-type]
                )
            )  # fmt: skip
        elif f"{stem}clamp" not in fitted.parameters:
            raise InputError(f"parameters.{name}", expected=f"{stem}clamp beside it", got="none")
    return tuple(acting)


def read_steers(name: str) -> list[Steer]:
    """What a file says, hook point by hook point.

    **Raises:** `InputError` for pickles, and for files that are none of lm_eval's.
    """
    path = expanded(name)
    if path.suffix in (".pt", ".pth"):
        raise InputError(
            _FIELD, expected="a .csv or .safetensors file", got=path.name,
            hint="a pickle can run code: write safetensors, with the names in docs/methods.md",
        )  # fmt: skip
    if path.suffix not in (".csv", SUFFIX) or not is_file(path):
        raise InputError(
            _FIELD, expected="a .csv or .safetensors file of lm_eval's `steered`", got=name or None,
            hint="check the path",
        )  # fmt: skip
    steers = _from_csv(path) if path.suffix == ".csv" else _from_tensors(path)
    if not steers:
        raise InputError(_FIELD, expected="at least one hook point", got="none")
    return steers


def _from_tensors(path: Path) -> list[Steer]:
    with reading(str(path), expected="a safetensors file", got=path.name):
        tensors = read_tensors(path, largest=_LARGEST)
    by_place: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        parts = name.split("/")
        known = len(parts) == 3 and parts[1] in get_args(Action) and parts[2] in _TENSORS
        if not known:
            raise InputError(
                f"{path}: {name}", expected="HOOKPOINT/add/steering_vector and the like", got=name
            )
        by_place.setdefault((parts[0], parts[1]), {})[parts[2]] = tensor
    return [_of_tensors(path, *place, tensors) for place, tensors in sorted(by_place.items())]


_TENSORS = ("steering_vector", "steering_coefficient", "bias")


def _of_tensors(
    path: Path, hook_point: str, action: Any, tensors: Mapping[str, torch.Tensor]
) -> Steer:
    vector, bias = tensors.get("steering_vector"), tensors.get("bias")
    coefficient = tensors.get("steering_coefficient", torch.ones(()))
    if vector is None or coefficient.numel() != 1 or (action == "add" and bias is not None):
        raise InputError(
            f"{path}: {hook_point}/{action}",
            expected="steering_vector, one steering_coefficient, and a bias for clamps alone",
            got=", ".join(sorted(tensors)),
        )  # fmt: skip
    return Steer(hook_point, action, vector, float(coefficient), bias)


def _from_csv(path: Path) -> list[Steer]:
    with reading(str(path), expected="a CSV file in UTF-8", got=path.name):
        try:
            rows = list(csv.DictReader(io.StringIO(read_text(path, largest=MIB))))
        except csv.Error as error:
            raise ValueError(str(error)) from error
    if len(rows) > _MOST_ROWS:
        raise InputError(str(path), expected=f"at most {_MOST_ROWS:,} rows", got=len(rows))
    read = cache(read_dictionary)  # many rows have one
    return [_of_row(f"{path}:{number}", row, read) for number, row in enumerate(rows, start=2)]


def _of_row(where: str, raw: Mapping[str | None, Any], read: Callable[[Path], Dictionary]) -> Steer:
    row = {str(name).strip(): (value or "").strip() for name, value in raw.items()
           if name and isinstance(value, (str, type(None)))}  # fmt: skip
    for name in ("sparse_model", "feature_index", "steering_coefficient"):
        if not row.get(name):
            raise InputError(f"{where}: {name}", expected="a value", got=row.get(name))
    if row.get("head_index"):
        raise InputError(
            f"{where}: head_index", expected="none, for whole outputs", got=row["head_index"],
            hint="amplify heads by `unit: head`",
        )  # fmt: skip
    action = row.get("action") or "add"
    if action not in get_args(Action):
        raise InputError(f"{where}: action", expected="add or clamp", got=action)
    dictionary = read(_folder(where, row))
    index = _number(where, "feature_index", row, int)
    if not 0 <= index < dictionary.n_features:
        raise InputError(
            f"{where}: feature_index", expected=f"a feature from 0 to {dictionary.n_features - 1}",
            got=index,
        )  # fmt: skip
    coefficient = _number(where, "steering_coefficient", row, float)
    kept = {name: row[name] for name in COLUMNS if row.get(name)}
    return Steer(
        row.get("hookpoint") or dictionary.hook_point, action,  # type: ignore[arg-type]
        dictionary.decoder[index], coefficient,
        dictionary.bias if action == "clamp" else None, kept,
    )  # fmt: skip


def _folder(where: str, row: Mapping[str, str]) -> Path:
    """Where a row's dictionary is on disk."""
    loader, base = row.get("loader") or "sparsify", expanded(row["sparse_model"])
    if loader not in ("sparsify", "sae_lens"):
        raise InputError(f"{where}: loader", expected="sparsify or sae_lens", got=loader)
    inside = row.get("hookpoint") if loader == "sparsify" else row.get("sae_id")
    for folder in (base / inside if inside else base, base):
        if is_folder(folder) and is_file(folder / "cfg.json"):
            return folder
    raise InputError(
        f"{where}: sparse_model", expected="a folder with its dictionaries as safetensors",
        got=row["sparse_model"], hint="download it, and name the folder",
    )  # fmt: skip


def _number(where: str, name: str, row: Mapping[str, str], kind: Any) -> Any:
    try:
        value = float(row[name])
        return kind(value) if kind is float or value.is_integer() else int(row[name])
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where}: {name}", expected="a number", got=row[name]) from error


def _placed(bench: Workbench, steer: Steer) -> tuple[int, str]:
    """Layer and site of a hook point, and whether the vectors fit."""
    sites: Sites = bench.sites.of("mlp")
    found = place_of(bench.model, sites, steer.hook_point)
    if found is None:
        raise InputError(
            _FIELD, expected="the output of a block, of its MLP or of its attention, such as "
            f"layers.0 ({sites.architecture})", got=steer.hook_point,
        )  # fmt: skip
    for tensor in (steer.vector, steer.bias):
        if tensor is not None and list(tensor.shape) != [sites.d_model]:
            raise InputError(
                f"{_FIELD}: {steer.hook_point}", expected=f"vectors of {sites.d_model} numbers",
                got=list(tensor.shape), hint="load the model that the file was made for",
            )  # fmt: skip
    return found


METHOD = Method("steered", find, build, options={"file": ""}, needs_layer=False, reads_files=True)
