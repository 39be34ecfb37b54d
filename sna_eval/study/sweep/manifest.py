"""The manifest of a sweep's store, read as a file from outside: checked before it is used.

A key that is missing is complained about where it is asked for, so that stores of other versions
remain readable for what they hold. Which items go together stands in it as numbers, in the order of
the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import numpy as np

from sna_eval.clusters import Ints
from sna_eval.errors import InputError, reading
from sna_eval.files import MIB, read_json
from sna_eval.gating import Gate
from sna_eval.intervention import Unit
from sna_eval.plan.files import parse_gate
from sna_eval.plan.reading import finite
from sna_eval.study.statistics import cluster_codes
from sna_eval.typed import Json

VERSION = 1
ASKED = "asked"
"""Key of what model and tasks were loaded with; two runs of one sweep may differ in it."""
_LARGEST = 8 * MIB  # a grid for each of a thousand tasks takes half a megabyte
_TEXTS = ("model", "model_hash", "dtype", "split", "plan_fingerprint", "pooling")
_COUNTS = ("n_layers", "d_mlp", "seed", "tokens_per_pass", "max_length")
_MOST_LAYERS = 100_000
_LONGEST_NAME = 240


class Values(dict[str, Any]):
    """A mapping that names its file's fault where a key is missing."""

    def __missing__(self, key: str) -> Any:
        raise InputError(
            f"manifest.{key}", expected="a value", got=None,
            hint="this store was written by another version, or its manifest is damaged",
        )  # fmt: skip


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest in a folder.

    **Raises:** `InputError` where there is none, or what it says cannot be.
    """
    file = path / "manifest.json"
    with reading(
        "store", expected="a folder written by `sna-eval sweep`", got=str(path),
        hint="check the path",
    ):  # fmt: skip
        manifest = read_json(file, largest=_LARGEST, mapping=Values)
        version = manifest["version"]
    if version != VERSION:
        raise InputError(
            "store.version", expected=str(VERSION), got=version,
            hint="sweep into another folder, or read it with the release that wrote it",
        )  # fmt: skip
    _check(manifest)
    return Values(manifest)


def asked_arguments(manifest: Json) -> dict[str, Any]:
    """Model arguments that load a sweep's model again."""
    found = {"pretrained": manifest["model"], "dtype": manifest["dtype"]}
    return found | manifest.get(ASKED, {}).get("model_args", {}) | found  # in this order


def _check(manifest: Json) -> None:
    for key in _TEXTS:
        _expect(f"manifest.{key}", manifest.get(key, ""), str, "a text")
    for key in _COUNTS:
        _expect(f"manifest.{key}", manifest.get(key, 0), int, "a whole number")
    if manifest.get("unit", "mlp") not in get_args(Unit):
        raise InputError(
            "manifest.unit", expected=f"one of {', '.join(get_args(Unit))}", got=manifest["unit"]
        )
    for key in ("tasks", "versions"):
        _expect(f"manifest.{key}", manifest.get(key, {}), dict, "a mapping")
    asked = manifest.get(ASKED, {})
    _expect(f"manifest.{ASKED}", asked, dict, "a mapping")
    _expect(f"manifest.{ASKED}.model_args", asked.get("model_args", {}), dict, "a mapping")
    _expect(f"manifest.{ASKED}.include_path", asked.get("include_path", ""), str, "a path")
    for name, task in manifest.get("tasks", {}).items():
        where = f"manifest.tasks.{name}"
        _expect(where, task, dict, "a mapping")
        if len(quote(name, safe="")) > _LONGEST_NAME:
            raise InputError("manifest.tasks", expected="names that a folder can have", got=name)
        parse_gate(task.get("gate"), f"{where}.gate", Gate())
        _check_grid(task["grid"], f"{where}.grid")


def _check_grid(grid: Any, where: str) -> None:
    _expect(where, grid, dict, "a mapping")
    for key, kinds, what in (
        ("layers", int, "whole numbers"),
        ("n_neurons", int, "whole numbers"),
        ("multipliers", (int, float), "numbers"),
        ("directions", str, "texts"),
    ):
        values = grid[key] if key == "layers" else grid.get(key, [])
        _expect(f"{where}.{key}", values, list, f"a list of {what}")
        for value in values:
            _expect(f"{where}.{key}", value, kinds, what)
            if not isinstance(value, str):
                finite(value, f"{where}.{key}")
    outside = [layer for layer in grid["layers"] if not 0 <= layer < _MOST_LAYERS]
    if outside:
        raise InputError(f"{where}.layers", expected="layers from 0", got=outside[0])


def _expect(field: str, value: Any, kinds: Any, what: str) -> None:
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        raise InputError(field, expected=what, got=value)


def written_clusters(labels: Sequence[str]) -> str:
    """Numbers with spaces between them; empty where every item stands for itself."""
    codes = cluster_codes(labels)
    return "" if len(set(codes.tolist())) == len(codes) else " ".join(map(str, codes))


def stored_clusters(manifest: Json, task: str, items: int) -> Ints:
    """The cluster of each of a task's items, from 0; in stores of before, each its own.

    **Raises:** `InputError` where the manifest has not one for each of so many items.
    """
    written = manifest["tasks"][task].get("clusters", "")
    field = f"manifest.tasks.{task}.clusters"
    with reading(field, expected="whole numbers", got=written):
        codes = [int(code) for code in written.split()]
    if not codes:
        return np.arange(items)
    if len(codes) != items:
        raise InputError(field, expected=f"one for each of {items} items", got=len(codes))
    return cluster_codes(codes)
