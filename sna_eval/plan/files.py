"""Plan files: YAML in, YAML out, and short hashes of what they say.

Loading one never runs code, and unknown keys are errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sna_eval.cache import digest
from sna_eval.errors import InputError, reading, writing
from sna_eval.files import MIB, expanded, is_file, plans_path, read_text
from sna_eval.gating import SIGNALS, Gate
from sna_eval.intervention import Vector
from sna_eval.plan.entries import (
    SUFFIX,
    Vectors,
    entry_to_dict,
    long_vectors,
    parse_entry,
    read_vectors,
    write_vectors,
)
from sna_eval.plan.reading import Fields, filled, items, label
from sna_eval.plan.schema import ModelSpec, Plan, PlannedIntervention, TaskPlan
from sna_eval.plan.yaml_text import parse_yaml, yaml_text
from sna_eval.typed import Json

VERSION = 1
_LARGEST_FILE = 4 * MIB  # a resolved plan of a thousand tasks has a third of that


def load_plan(name_or_path: str | Path) -> Plan:
    """Loads a bundled plan by name, or any plan file by path.

    **Raises:** `InputError` for a missing file, broken YAML, unknown keys and impossible values.
    """
    path = _locate(name_or_path)
    raw = _read_yaml(path)
    vectors: dict[str, Vector] = {}
    if isinstance(raw, dict) and raw.get("vectors") is not None:
        vectors = read_vectors(raw["vectors"], path)
    return _with_files_beside(parse_plan(raw, vectors), path.parent)


def _with_files_beside(plan: Plan, folder: Path) -> Plan:
    """A plan whose files of prompts are found: from the working directory, or beside the plan."""
    tasks = {
        name: replace(
            task, interventions=tuple(_found_beside(entry, folder) for entry in task.interventions)
        )
        for name, task in plan.tasks.items()
    }
    return replace(plan, tasks=tasks)


def _found_beside(entry: PlannedIntervention, folder: Path) -> PlannedIntervention:
    select = entry.select
    if select is None or (select.pairs is None and select.unrelated_prompts is None):
        return entry
    found = replace(
        select,
        prompts=select.prompts if select.pairs is None else _beside(select.pairs, folder),
        unrelated_prompts=None
        if select.unrelated_prompts is None
        else _beside(select.unrelated_prompts, folder),
    )
    return replace(entry, select=found)


def _beside(name: str, folder: Path) -> str:
    return str(folder / name) if not is_file(expanded(name)) and is_file(folder / name) else name


def bundled_plans() -> list[str]:
    """Names of the plans that ship with the package."""
    return sorted(path.stem for path in plans_path().glob("*.yaml"))


def save_plan(plan: Plan, path: str | Path) -> None:
    """Writes a plan file and, where methods learned long vectors, the file beside it.

    **Raises:** `InputError` where the path cannot be written, and for a plan that is too large to
    be read again.
    """
    path = Path(path)
    if not path.name:
        raise InputError("output", expected="a file to write the plan to", got=str(path))
    beside = path.with_suffix(SUFFIX)
    entries = [entry for task in plan.tasks.values() for entry in task.interventions]
    vectors = [vector for entry in entries for vector in long_vectors(entry.parameters or {})]
    text = plan_text(plan, beside.name if vectors else None)
    size = len(text.encode())
    if size > _LARGEST_FILE:
        raise InputError(
            "plan", expected=f"at most {_LARGEST_FILE / MIB:g} MiB of YAML",
            got=f"{size / MIB:.1f} MiB", hint="choose fewer neurons",
        )  # fmt: skip
    with writing(path):
        write_vectors(vectors, beside)
        path.write_text(text, encoding="utf-8")


def plan_text(plan: Plan, vectors: str | None = None) -> str:
    """What stands in a plan file.

    **Arguments:**

    - `vectors`: name of the file beside it.
    """
    raw = plan_to_dict(plan) | ({"vectors": vectors} if vectors is not None else {})
    return yaml_text(raw)


def parse_plan(raw: Any, vectors: Vectors | None = None) -> Plan:
    """Turns the content of a plan file into a `Plan`.

    **Arguments:**

    - `vectors`: what the file beside it holds.
    """
    fields = Fields(raw, "")
    version = fields.integer("version")
    if version != VERSION:
        raise InputError(
            "version", expected=str(VERSION), got=version, hint="add `version: 1` to the plan"
        )
    model = filled(ModelSpec, fields.take("model"), "model") or ModelSpec()
    default_gate = _parse_defaults(fields.take("defaults"))
    tasks = fields.required("tasks", fields.take("tasks"))
    fields.take("vectors")
    fields.done()
    if not isinstance(tasks, Mapping) or not tasks:
        raise InputError("tasks", expected="a mapping from task names or globs", got=tasks)
    return Plan(
        {
            label(name, "tasks"): _parse_task(entry, f"tasks.{name}", default_gate, vectors or {})
            for name, entry in tasks.items()
        },
        model,
    )


def plan_to_dict(plan: Plan) -> dict[str, Any]:
    """A plan as plain YAML values; `parse_plan` reads them back to an equal plan."""
    model = {key: value for key, value in asdict(plan.model).items() if value is not None}
    return {
        "version": VERSION,
        **({"model": model} if model else {}),
        "tasks": {name: task_to_dict(task) for name, task in plan.tasks.items()},
    }


def task_to_dict(task: TaskPlan) -> dict[str, Any]:
    """One task's plan as plain YAML values."""
    return {
        "gate": asdict(task.gate),
        **({} if task.cluster is None else {"cluster": task.cluster}),
        "interventions": [entry_to_dict(entry) for entry in task.interventions],
    }


def parse_gate(raw: Any, path: str, default: Gate) -> Gate:
    """A gate from a mapping, or from `always`, `never` or a signal's name alone."""
    if raw is None:
        return default
    if isinstance(raw, str):
        raw = {"mode": raw} if raw in ("always", "never") else {"signal": raw}
    named = isinstance(raw, Mapping) and raw.get("signal") is not None
    usual = "confidence" if named else default.mode  # whoever names a signal wants it followed
    fields = Fields(raw, path)
    signal = fields.text("signal", default.signal)
    bounds = (default.low, default.high)
    if signal != default.signal:
        other = SIGNALS.find(signal, field=fields.at("signal"))
        bounds = (other.low, other.high)
    low, high = fields.number("low", bounds[0]), fields.number("high", bounds[1])
    transition = fields.text("transition", default.transition)
    mode = fields.text("mode", usual)
    fields.done()
    return Gate(signal, low, high, transition, mode)  # type: ignore[arg-type]


def _locate(name_or_path: str | Path) -> Path:
    bundled = plans_path() / f"{name_or_path}.yaml"
    if is_file(bundled) and bundled.parent == plans_path():
        return bundled
    path = expanded(name_or_path)
    if not is_file(path):
        raise InputError(
            "plan",
            expected=f"a file, or one of {', '.join(bundled_plans())}",
            got=str(name_or_path),
            hint="check the path",
        )
    return path


def _read_yaml(path: Path) -> Any:
    with reading("plan", expected="a YAML file", got=str(path)):
        return parse_yaml(read_text(path, largest=_LARGEST_FILE))


def _parse_defaults(raw: Any) -> Gate:
    if raw is None:
        return Gate()
    fields = Fields(raw, "defaults")
    gate = parse_gate(fields.take("gate"), "defaults.gate", Gate())
    fields.done()
    return gate


def _parse_task(raw: Any, path: str, default_gate: Gate, vectors: Vectors) -> TaskPlan:
    fields = Fields(raw, path)
    gate = parse_gate(fields.take("gate"), fields.at("gate"), default_gate)
    entries = fields.required("interventions", fields.take("interventions"))
    cluster = fields.text("cluster", None)
    fields.done()
    interventions = tuple(
        parse_entry(entry, where, vectors)
        for entry, where in items(entries, f"{path}.interventions")
    )
    return TaskPlan(gate, interventions, cluster)


_REMARKS = ("found", "scores")
"""What an entry of a plan says beside what it does."""


def plan_fingerprint(plan: Plan) -> str:
    """Hash of everything a plan says."""
    return digest(plan_to_dict(plan))


def task_fingerprint(task: TaskPlan) -> str:
    """Hash of one task's plan, neurons included."""
    return digest(task_to_dict(task))


def acting_fingerprint(task: Json) -> str:
    """Hash of what a task's plan does, however it was found.

    **Arguments:**

    - `task`: as `task_to_dict` writes it, and with it plan and result files.
    """
    return digest({"gate": task["gate"], "interventions": _acting(task["interventions"])})


def neurons_fingerprint(task: TaskPlan) -> str:
    """Hash of what acts, behind any gate."""
    return digest(_acting(task_to_dict(task)["interventions"]))


def _acting(entries: Sequence[Json]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in entry.items() if name not in _REMARKS} for entry in entries
    ]
