"""The schema that editors use says what the parser says."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from sna_eval.errors import InputError
from sna_eval.files import plans_path
from sna_eval.gating import SIGNALS
from sna_eval.methods import METHODS
from sna_eval.plan import parse_plan
from sna_eval.plan.json_schema import PATH, schema_text

SCHEMA = json.loads((files("sna_eval.plan") / "plan.schema.json").read_text(encoding="utf-8"))
ENTRY = {"layer": 1, "multiplier": 2.0, "neurons": [1, 2]}
PLANS = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in plans_path().glob("*.yaml")]


def plan(**task: Any) -> dict[str, Any]:
    return {"version": 1, "tasks": {"t": {"interventions": [ENTRY], **task}}}


def entry(**more: Any) -> dict[str, Any]:
    return plan(interventions=[{**ENTRY, **more}])


def selecting(**select: Any) -> dict[str, Any]:
    return plan(interventions=[{"layer": 2, "multiplier": 3, "select": select}])


GOOD = [
    *PLANS,
    plan(gate="always"),
    plan(gate={"signal": "margin", "low": 0.2}),
    entry(neurons={"a": [1], "b": [2]}, direction="a"),
    plan(interventions=[{"method": "caa", "layer": 2, "strength": 0.5}]),
    plan(interventions=[{"layer": 2, "multiplier": 3, "select": {"top_k": 5}}]),
    selecting(method="attribution", top_k=5),
    selecting(method="attribution", pooling="mean"),
    selecting(method="random", seed=0, pooling="last"),
    selecting(max_prompts=1, sinks="keep"),
    entry(unit="head"),
    entry(unit="mlp"),
]
BAD = [
    entry(unit="neuron"),
    {"tasks": {"t": {"interventions": [ENTRY]}}},
    plan(gate={"mode": "often"}),
    entry(select={}, neurons=[-1]),
    {"version": 2, "tasks": {"t": {"interventions": [ENTRY]}}},
    {"version": 1, "tasks": {}},
    plan(gate="sometimes"),
    plan(gate={"signal": "mood"}),
    plan(gate={"low": "0.2"}),
    plan(unknown=1),
    plan(interventions=None),
    entry(layer=-1),
    entry(layer=1.5),
    entry(method="magic"),
    entry(positions="first"),
    entry(neurons="12"),
    entry(colour="red"),
    entry(neurons=[1, 2, 1]),
    entry(neurons={"a": [1, 1], "b": [2]}),
    selecting(method="attribution", pooling="last"),
    selecting(seed=1),
    selecting(method="contrastive", seed=1),
    selecting(method="random", seed=-1),
    selecting(method="slope"),
    selecting(max_prompts=0),
    selecting(sinks="half"),
]


@pytest.mark.parametrize("raw", GOOD)
def test_takes_what_the_parser_takes(raw: Any) -> None:
    parse_plan(raw)
    jsonschema.validate(raw, SCHEMA)


@pytest.mark.parametrize("raw", BAD)
def test_refuses_what_the_parser_refuses(raw: Any) -> None:
    with pytest.raises(InputError):
        parse_plan(raw)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw, SCHEMA)


def test_is_the_one_that_the_dataclasses_make() -> None:
    """Made anew by `python -m sna_eval.plan.json_schema`."""
    assert PATH.read_text(encoding="utf-8") == schema_text()


def test_knows_every_method_and_signal() -> None:
    assert SCHEMA["$defs"]["intervention"]["properties"]["method"]["enum"] == list(METHODS)
    assert SCHEMA["$defs"]["gate"]["properties"]["signal"]["enum"] == list(SIGNALS)


def test_every_key_is_described() -> None:
    for name in ("gate", "select", "intervention"):
        for key, described in SCHEMA["$defs"][name]["properties"].items():
            assert described.get("description") or "$ref" in described, f"{name}.{key}"


@pytest.mark.parametrize(
    ("raw", "keys"),
    [
        ({**plan(), "?": 1}, SCHEMA["properties"]),
        (plan(**{"?": 1}), SCHEMA["properties"]["tasks"]["additionalProperties"]["properties"]),
        (plan(gate={"?": 1}), SCHEMA["$defs"]["gate"]["properties"]),
        (entry(neurons=None, select={"?": 1}), SCHEMA["$defs"]["select"]["properties"]),
    ],
)
def test_knows_every_key(raw: Any, keys: dict[str, Any]) -> None:
    """The parser's complaint about an unknown key lists those it knows."""
    with pytest.raises(InputError) as caught:
        parse_plan(raw)
    listed = str(caught.value).split("one of the keys ")[1].split(", got")[0]
    assert set(listed.split(", ")) == set(keys)
