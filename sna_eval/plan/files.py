"""Plan files: YAML in, YAML out. Loading one never runs code, and unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from sna_eval.errors import InputError, writing
from sna_eval.gating import PAPER_BOUNDS, Gate
from sna_eval.intervention import Vector
from sna_eval.methods import Method, find_method
from sna_eval.paths import plans_path
from sna_eval.plan.reading import Fields, integers, items, numbers
from sna_eval.plan.schema import (
    UNLABELLED,
    ModelSpec,
    NeuronSets,
    Plan,
    PlannedIntervention,
    ScoreSets,
    Selection,
    TaskPlan,
)
from sna_eval.plan.vectors import (
    SUFFIX,
    Vectors,
    long_vectors,
    parameters_to_dict,
    parse_parameters,
    read_vectors,
    write_vectors,
)

VERSION = 1
_LARGEST_FILE = 64 * 2**20  # bytes; a resolved plan of a thousand tasks is a few MiB


def load_plan(name_or_path: str | Path) -> Plan:
    """Loads a bundled plan by name, or any plan file by path.

    **Raises:** `InputError` for a missing file, broken YAML, unknown keys and impossible values.
    """
    path = _locate(name_or_path)
    raw = _read_yaml(path)
    vectors: dict[str, Vector] = {}
    if isinstance(raw, dict) and raw.get("vectors") is not None:
        vectors = read_vectors(raw["vectors"], path)
    return parse_plan(raw, vectors)


def bundled_plans() -> list[str]:
    """Names of the plans that ship with the package."""
    return sorted(path.stem for path in plans_path().glob("*.yaml"))


def save_plan(plan: Plan, path: str | Path) -> None:
    """Writes a plan file and, where methods learned long vectors, the file beside it.

    **Raises:** `InputError` where the path cannot be written.
    """
    path = Path(path)
    beside = path.with_suffix(SUFFIX)
    entries = (entry for task in plan.tasks.values() for entry in task.interventions)
    vectors = (own for entry in entries for own in long_vectors(entry.parameters or {}))
    with writing(path):
        written = write_vectors(vectors, beside)
        path.write_text(plan_text(plan, beside.name if written else None), encoding="utf-8")


def plan_text(plan: Plan, vectors: str | None = None) -> str:
    """What stands in a plan file.

    **Arguments:**

    - `vectors`: name of the file beside it.
    """
    raw = plan_to_dict(plan) | ({"vectors": vectors} if vectors is not None else {})
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=100)


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
    model = _parse_model(fields.take("model"))
    default_gate = _parse_defaults(fields.take("defaults"))
    tasks = fields.required("tasks", fields.take("tasks"))
    fields.take("vectors")
    fields.done()
    if not isinstance(tasks, Mapping) or not tasks:
        raise InputError("tasks", expected="a mapping from task names or globs", got=tasks)
    return Plan(
        {
            str(name): _parse_task(entry, f"tasks.{name}", default_gate, vectors or {})
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
        "interventions": [_intervention_to_dict(entry) for entry in task.interventions],
    }


def parse_gate(raw: Any, path: str, default: Gate) -> Gate:
    """A gate from a mapping, or from `always`, `never` or a signal's name alone."""
    if raw is None:
        return default
    if isinstance(raw, str):
        raw = {"mode": raw} if raw in ("always", "never") else {"signal": raw}
    fields = Fields(raw, path)
    signal = fields.text("signal", default.signal)
    bounds = (default.low, default.high)
    if signal != default.signal:
        bounds = PAPER_BOUNDS.get(signal, bounds)  # type: ignore[call-overload]
    low, high = fields.number("low", bounds[0]), fields.number("high", bounds[1])
    transition = fields.text("transition", default.transition)
    mode = fields.text("mode", default.mode)
    fields.done()
    return Gate(signal, low, high, transition, mode)  # type: ignore[arg-type]


def _locate(name_or_path: str | Path) -> Path:
    bundled = plans_path() / f"{name_or_path}.yaml"
    if _is_file(bundled) and bundled.parent == plans_path():
        return bundled
    path = Path(name_or_path)
    with suppress(RuntimeError):  # the home of nobody
        path = path.expanduser()
    if not _is_file(path):
        raise InputError(
            "plan",
            expected=f"a file, or one of {', '.join(bundled_plans())}",
            got=str(name_or_path),
            hint="check the path",
        )
    return path


def _is_file(path: Path) -> bool:
    """Whether there is a file; what was typed may be no path at all."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _read_yaml(path: Path) -> Any:
    if path.stat().st_size > _LARGEST_FILE:
        raise InputError("plan", expected=f"a file of at most {_LARGEST_FILE} bytes", got=str(path))
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError("plan", expected="a YAML file", got=f"{path}: {reason}") from error


def _parse_model(raw: Any) -> ModelSpec:
    if raw is None:
        return ModelSpec()
    fields = Fields(raw, "model")
    spec = ModelSpec(fields.text("name", None), fields.integer("n_layers"), fields.integer("d_mlp"))
    fields.done()
    return spec


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
    fields.done()
    interventions = tuple(
        _parse_intervention(entry, where, vectors)
        for entry, where in items(entries, f"{path}.interventions")
    )
    return TaskPlan(gate, interventions)


def _parse_intervention(raw: Any, path: str, vectors: Vectors) -> PlannedIntervention:
    fields = Fields(raw, path)
    method = find_method(str(fields.text("method", "sna")), field=fields.at("method"))
    values: dict[str, Any] = {
        "method": method.name,
        "layer": _parse_layer(fields, method),
        "positions": fields.text("positions", method.positions),
        "options": _parse_options(fields, method),
        "found": fields.take("found"),
    }
    if method.chooses_neurons:
        values |= _parse_choice(fields)
    else:
        values["strength"] = fields.number("strength", 1.0)
        parameters = fields.take("parameters")
        values["parameters"] = parse_parameters(parameters, fields.at("parameters"), vectors)
    fields.done()
    return PlannedIntervention(**values)


def _parse_layer(fields: Fields, method: Method) -> int:
    layer = fields.integer("layer", None if method.needs_layer else 0)
    layer = fields.required("layer", layer)
    if layer < 0:
        raise InputError(fields.at("layer"), expected="a layer from 0", got=layer)
    return layer


def _parse_options(fields: Fields, method: Method) -> dict[str, Any]:
    raw = fields.take("options")
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise InputError(fields.at("options"), expected="a mapping", got=raw)
    given = {str(key): value for key, value in raw.items()}
    method.settle(given)
    return given


def _parse_choice(fields: Fields) -> dict[str, Any]:
    """What only methods that choose neurons have."""
    return {
        "multiplier": fields.required("multiplier", fields.number("multiplier")),
        "direction": fields.text("direction", "both"),
        "allow_oracle": fields.flag("allow_oracle"),
        "select": _parse_selection(fields.take("select"), fields.at("select")),
        "neurons": _parse_neurons(fields.take("neurons"), fields.at("neurons")),
        "scores": _parse_scores(fields.take("scores"), fields.at("scores")),
    }


def _parse_selection(raw: Any, path: str) -> Selection | None:
    if raw is None:
        return None
    fields = Fields(raw, path)
    selection = Selection(
        method=fields.text("method", "differential"),  # type: ignore[arg-type]
        top_k=fields.integer("top_k", 10),  # type: ignore[arg-type]
        prompts=fields.text("prompts", "development"),  # type: ignore[arg-type]
        reference=fields.text("reference", "neutral"),  # type: ignore[arg-type]
        pooling=fields.text("pooling", "mean"),  # type: ignore[arg-type]
    )
    fields.done()
    return selection


def _parse_neurons(raw: Any, path: str) -> NeuronSets | None:
    if raw is None:
        return None
    sets = raw if isinstance(raw, Mapping) else {UNLABELLED: raw}
    return {str(label): integers(entry, f"{path}.{label}") for label, entry in sets.items()}


def _parse_scores(raw: Any, path: str) -> ScoreSets | None:
    if raw is None:
        return None
    sets = raw if isinstance(raw, Mapping) else {UNLABELLED: raw}
    return {str(label): numbers(entry, f"{path}.{label}") for label, entry in sets.items()}


def _intervention_to_dict(entry: PlannedIntervention) -> dict[str, Any]:
    """Fields in reading order; those that say nothing are left out."""
    chooses = entry.how.chooses_neurons
    written: dict[str, Any] = {
        "layer": entry.layer,
        **({"multiplier": entry.multiplier} if chooses else {"strength": entry.strength}),
        "method": entry.method,
        "positions": entry.positions,
        **(_choice_to_dict(entry) if chooses else {}),
    }
    if entry.options:
        written["options"] = dict(entry.options)
    if entry.parameters is not None:
        written["parameters"] = parameters_to_dict(entry.parameters)
    if entry.found is not None:
        written["found"] = dict(entry.found)
    return written


def _choice_to_dict(entry: PlannedIntervention) -> dict[str, Any]:
    """What only methods that choose neurons have."""
    written: dict[str, Any] = {"direction": entry.direction}
    if entry.allow_oracle:
        written["allow_oracle"] = True
    if entry.select is not None:
        written["select"] = asdict(entry.select)
    for key, sets in (("neurons", entry.neurons), ("scores", entry.scores)):
        if sets is not None:
            lists = {label: list(values) for label, values in sets.items()}
            written[key] = lists[UNLABELLED] if list(lists) == [UNLABELLED] else lists
    return written
