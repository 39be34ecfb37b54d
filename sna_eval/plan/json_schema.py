"""The JSON schema of plan files, for editors: made of the dataclasses that hold a plan.

Types, choices and defaults are the fields', descriptions their docstrings; what a type cannot say,
such as the least value of a number, stands here.

    python -m sna_eval.plan.json_schema    # writes plan.schema.json beside this file
"""

from __future__ import annotations

import ast
import inspect
import json
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sna_eval.gating import SIGNALS, Gate
from sna_eval.methods import METHODS
from sna_eval.neurons import RANKINGS
from sna_eval.plan.files import VERSION
from sna_eval.plan.schema import ModelSpec, NeuronSets, PlannedIntervention, ScoreSets
from sna_eval.plan.selection import Selection

Schema = dict[str, Any]
PATH = Path(__file__).with_name("plan.schema.json")
_PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}
_INDEX: Schema = {"type": "integer", "minimum": 0}
_CHOICES: dict[tuple[type, str], Callable[[], list[str]]] = {
    (Gate, "signal"): lambda: list(SIGNALS),
    (PlannedIntervention, "method"): lambda: list(METHODS),
    (Selection, "method"): lambda: list(RANKINGS),
}
"""Names that a registry knows, where the type is a text."""
_BOUNDS: dict[tuple[type, str], Schema] = {
    (PlannedIntervention, "layer"): {"minimum": 0},
    (Selection, "top_k"): {"minimum": 1},
    (Selection, "share"): {"exclusiveMinimum": 0, "maximum": 1},
    (Selection, "prompts"): {"pattern": r"^development$|\.jsonl$"},
    (Selection, "max_prompts"): {"minimum": 1},
    (Selection, "seed"): {"minimum": 0},
}
_DRAWING = [name for name, ranking in RANKINGS.items() if "seed" in ranking.settings]
_POOLED = [name for name, ranking in RANKINGS.items() if "pooling" not in ranking.settings]
_ACROSS: Schema = {"properties": {"across_layers": {"const": True}}, "required": ["across_layers"]}
_RULES: dict[type, list[Schema]] = {
    Selection: [
        {
            "if": {"required": ["seed"]},
            "then": {"properties": {"method": {"enum": _DRAWING}}, "required": ["method"]},
        },
        {
            "if": {"properties": {"method": {"enum": _POOLED}}, "required": ["method"]},
            "then": {"properties": {"pooling": {"const": "mean"}}},
        },
        {"not": {"required": ["share", "top_k"]}},
    ]
}
"""What holds between fields."""


def plan_schema() -> Schema:
    """The schema of a whole plan file."""
    gate = {
        "description": "A gate, or the name of a signal or mode alone.",
        "oneOf": [
            {"$ref": "#/$defs/gate"},
            {"type": "string", "enum": [*SIGNALS, "always", "never"]},
        ],
    }
    task = _object(
        {
            "gate": gate,
            "cluster": {
                "type": "string",
                "description": "Field of the documents that says which items go together.",
            },
            "interventions": _list({"$ref": "#/$defs/intervention"}),
        },
        required=["interventions"],
    )
    vectors = {
        "type": "string",
        "description": "The file beside this one that holds long vectors.",
        "pattern": r"^[^/\\]+\.safetensors$",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sna-eval plan",
        "description": "What is done to which task, behind which gate.",
        **_object(
            {
                "version": {"const": VERSION, "description": "Version of the format."},
                "model": _of_class(ModelSpec),
                "defaults": {
                    "description": "What tasks have where they say nothing.",
                    **_object({"gate": gate}),
                },
                "tasks": {
                    "type": "object",
                    "minProperties": 1,
                    "description": "By task name or glob; the most specific match wins.",
                    "additionalProperties": task,
                },
                "vectors": vectors,
            },
            required=["version", "tasks"],
        ),
        "$defs": {
            "gate": _of_class(Gate, defaults=False),
            "select": _of_class(Selection),
            "intervention": _of_class(PlannedIntervention),
        },
    }


def _of_class(cls: type, *, defaults: bool = True) -> Schema:
    """The mapping that a dataclass is written as.

    **Arguments:**

    - `defaults`: whether a field that is left out always means its default.
    """
    hints, said = get_type_hints(cls), _docstrings(cls)
    properties = {}
    for entry in fields(cls):
        described = {**_of_type(hints[entry.name]), **_BOUNDS.get((cls, entry.name), {})}
        if (cls, entry.name) in _CHOICES:
            described["enum"] = _CHOICES[cls, entry.name]()
        if entry.name in said and "$ref" not in described:
            described = {"description": said[entry.name], **described}
        if defaults and _default(entry) is not None:
            described["default"] = _default(entry)
        properties[entry.name] = described
    rules = {"allOf": _RULES[cls]} if cls in _RULES else {}
    return {"description": _in_one_line(cls.__doc__), **_object(properties), **rules}


def _of_type(kind: Any) -> Schema:
    if kind == NeuronSets:
        return _by_label({**_list(_INDEX), "uniqueItems": True})
    if kind == ScoreSets:
        return _by_label(_list({"type": "number"}))
    if get_origin(kind) in (Union, types.UnionType):  # a field without a value is left out
        (kind,) = (option for option in get_args(kind) if option is not type(None))
        return _of_type(kind)
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if kind is Selection:
        return {"$ref": "#/$defs/select"}
    return {"type": _PLAIN.get(kind, "object")}


def _by_label(entries: Schema) -> Schema:
    """Lists by label, or one that belongs to none."""
    return {"oneOf": [entries, {"type": "object", "additionalProperties": entries}]}


def _list(entries: Schema) -> Schema:
    return {"type": "array", "items": entries}


def _object(properties: Mapping[str, Schema], *, required: list[str] | None = None) -> Schema:
    whole: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return whole | ({"required": required} if required else {})


def _default(entry: Field[Any]) -> Any:
    """A field's default where a file can say it; `None` where there is none."""
    plain = entry.default is not MISSING and type(entry.default) in _PLAIN
    return entry.default if plain else None


def _docstrings(cls: type) -> dict[str, str]:
    """What the source says below each field of a class."""
    (tree,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(tree, ast.ClassDef)
    said = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            name, text = field.target, below.value
            assert isinstance(name, ast.Name)
            assert isinstance(text, ast.Constant)
            said[name.id] = _in_one_line(str(text.value))
    return said


def _in_one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def schema_text() -> str:
    """What stands in the file."""
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text(), encoding="utf-8")
    print(PATH)
