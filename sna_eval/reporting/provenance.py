"""How a sweep was made, from its manifest; gates come from the plan it was given, if any."""

from __future__ import annotations

import json
import shlex
from typing import Any

from sna_eval.harness.loading import typed_arguments
from sna_eval.plan.applying import follows_answer
from sna_eval.reporting.tables import Table
from sna_eval.study.interference import Interference
from sna_eval.study.sweep.manifest import ASKED, Values, asked_arguments
from sna_eval.typed import Json

_UNITS = {"head": "attention heads", "feature": "features of a dictionary"}
"""What a sweep amplified, where it was not neurons."""


def made_table(manifest: Json, measured: Interference | None) -> Table:
    """Model, plan fingerprints, items and versions."""
    versions = ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())
    rows = [
        ("model", str(manifest["model"])),
        ("model hash", str(manifest["model_hash"])),
        ("layers, neurons a layer", f"{manifest['n_layers']}, {manifest['d_mlp']}"),
        *([("amplified", _UNITS[manifest["unit"]])] if manifest.get("unit") in _UNITS else []),
        ("dtype", str(manifest["dtype"])),
        ("items", f"{manifest['split']}{_taken(manifest['limit'], spread=_spread(manifest))}"),
        ("fingerprint of the sweep", str(manifest["plan_fingerprint"])),
        ("versions", versions),
    ]
    if measured is not None:
        rows += [
            ("interference: model", measured.model),
            ("interference: plan", measured.plan_fingerprint),
            ("interference: items", f"{measured.split}{_taken(measured.limit)}"),
            ("interference: plain text", measured.text),
        ]
    return Table(("what", "which"), tuple(rows))


def sweep_commands(manifest: Json) -> list[str]:
    """Commands that measure the same configurations: one for each grid that tasks share."""
    grids: dict[str, list[str]] = {}
    for task, described in manifest["tasks"].items():
        grids.setdefault(json.dumps([described["grid"], described["select"]]), []).append(task)
    return [
        _command(manifest, tasks, *json.loads(grid, object_hook=Values))
        for grid, tasks in grids.items()
    ]


def _command(manifest: Json, tasks: list[str], grid: Json, select: str) -> str:
    options: dict[str, Any] = {
        "model_args": typed_arguments(asked_arguments(manifest)),
        "tasks": ",".join(tasks),
        **({"unit": manifest["unit"]} if "unit" in manifest else {}),
        "layers": _joined(grid["layers"]),
        "top_k": _joined(grid["n_neurons"]),
        "multipliers": _joined(grid["multipliers"]),
        "select": select,
        "split": manifest["split"],
        "seed": manifest["seed"],
        "pooling": manifest["pooling"],
        "tokens_per_pass": manifest["tokens_per_pass"],
    }
    if select == "contrastive":
        options["directions"] = ",".join(grid["directions"])
    if manifest["limit"] is not None:
        options["limit"] = manifest["limit"]
    if "include_path" in manifest.get(ASKED, {}):
        options["include_path"] = manifest[ASKED]["include_path"]
    if manifest.get("screen"):
        options |= {"screen": "gradient", "verify": manifest["screen"]["verify"]}
    spread = ["--spread"] if _spread(manifest) else []
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    oracle = ["--allow_oracle"] if any(map(follows_answer, grid["directions"])) else []
    return shlex.join(["sna-eval", "sweep", *words, *spread, *oracle, "--output", "DIR"])


def _joined(values: list[float]) -> str:
    return ",".join(f"{value:g}" for value in values)


def _spread(manifest: Json) -> bool:
    """Whether a limit took items from the whole split; manifests say so only where it did."""
    return bool(manifest.get("spread", False))


def _taken(limit: int | None, *, spread: bool = False) -> str:
    """Which items of each task a limit left."""
    if limit is None:
        return ""
    return (
        f", {limit} of each task, evenly spread" if spread else f", the first {limit} of each task"
    )
