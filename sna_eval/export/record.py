"""`sna_export.json`: what an export is, for programs. The card says the same to people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError, reading
from sna_eval.export.source import Source, made_by
from sna_eval.files import LARGEST_FILE, is_file, read_json
from sna_eval.plan import ModelSpec, Plan, parse_plan, plan_to_dict, task_fingerprint
from sna_eval.typed import Json

RECORD_NAME = "sna_export.json"
VERSION = 1


def recorded_plan(source: Source) -> Plan:
    """The one task's plan, with the model it fits."""
    given = source.whole_plan.model.name if source.whole_plan is not None else None
    spec = ModelSpec(given or source.name, source.sites.n_layers, source.sites.d_mlp)
    return Plan({source.task: source.plan}, spec)


def record_of(source: Source, kind: str) -> dict[str, Any]:
    """An export's record, as plain JSON values."""
    return {
        "version": VERSION,
        "format": kind,
        "made_by": made_by(),
        "task": source.task,
        "base_model": {
            "name": source.name,
            **({"gguf_file": source.gguf_file} if source.gguf_file is not None else {}),
            "revision": source.revision,
            "commit": source.commit,
            "model_hash": source.model_hash,
            "architecture": source.sites.architecture,
            "dtype": source.dtype,
        },
        "plan_fingerprint": source.plan_hash,
        "task_fingerprint": task_fingerprint(source.plan),
        "gate_included": False,
        "oracle": source.plan.oracle,
        "modules": [
            {
                "name": source.name_of(scaling),
                "layer": scaling.layer,
                **({"unit": scaling.unit} if scaling.unit != "mlp" else {}),
                "neurons": list(scaling.neurons),
                "factors": list(scaling.factors.values()),
            }
            for scaling in source.scalings
        ],
        "vectors": [
            {"layer": vector.layer, "norm": float(vector.values.norm())}
            for vector in source.vectors
        ],
        "plan": plan_to_dict(recorded_plan(source)),
    }


def write_record(record: Json, folder: Path) -> None:
    """Writes the record beside the weights."""
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / RECORD_NAME).write_text(f"{text}\n", encoding="utf-8")


def read_record(folder: Path) -> tuple[str, Plan] | None:
    """Task and plan of an export; `None` where a folder holds no record.

    **Raises:** `InputError` for a record that cannot be read.
    """
    path = folder / RECORD_NAME
    if not path.is_file():
        return None
    record = read_object(path)
    if record.get("version") != VERSION:
        raise InputError(
            f"{path}: version", expected=str(VERSION), got=record.get("version"),
            hint="this export was written by another version of sna-eval",
        )  # fmt: skip
    plan = parse_plan(record.get("plan"))
    task = record.get("task")
    if not isinstance(task, str) or list(plan.tasks) != [task]:
        raise InputError(f"{path}: task", expected="the one task of its plan", got=task)
    return task, plan


def read_object(path: Path, *, largest: int = LARGEST_FILE) -> dict[str, Any]:
    """A JSON file that holds an object.

    **Raises:** `InputError` where it is missing, too large, or something else.
    """
    if not is_file(path):
        raise InputError(str(path), expected="a JSON file", got="none", hint="check the folder")
    with reading(str(path), expected="a JSON file", got=path.name):
        value = read_json(path, largest=largest)
    if not isinstance(value, dict):
        raise InputError(str(path), expected="a JSON object", got=value)
    return value
