"""Inline plans from lm_eval's two forms of `--model_args`: text, and JSON with real types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.loading import model_arguments
from sna_eval.harness.tasks.plan_makers import PlanMakerOptions
from sna_eval.plan import Plan, PlanArguments, plan_from_arguments

NAMED: dict[str, Any] = {
    "layer": 8, "multiplier": 2.5, "neurons": [12, 845, 3071], "positions": "last",
    "unit": "head", "direction": "gold", "allow_oracle": True,
    "gate": "margin", "low": 0.2, "high": 0.45, "transition": "amplify",
}  # fmt: skip
FOUND: dict[str, Any] = {
    "layer": 8, "multiplier": 2, "top_k": 15, "select": "random", "pooling": "last", "seed": 3,
    "max_prompts": 40, "sinks": "keep", "gate": "never",
}  # fmt: skip
ACROSS: dict[str, Any] = {
    "across_layers": True, "share": 0.01, "multiplier": 2, "prompts": "pairs.jsonl",
    "drop_universal": True, "unrelated_prompts": "prompts.txt", "gate": "always",
}  # fmt: skip
LEARNED: dict[str, Any] = {"layer": 8, "method": "caa", "strength": 0.5}
BUNDLED: dict[str, Any] = {"plan": "sna-reference", "gate": "always"}
ODD: tuple[Any, ...] = (
    True, False, -1, 0, 1.5, 10**400, "", "x", "1;2", [], [1], [1, 1], [1.0], [True], ["1"],
    [[1]], [None], {}, {"a": 1}, {"a": [1]},
)  # fmt: skip


def build(text: str) -> Plan:
    return plan_from_arguments(model_arguments(text))


@pytest.mark.parametrize("given", [NAMED, FOUND, ACROSS, LEARNED, BUNDLED])
def test_json_says_what_text_says(given: dict[str, Any]) -> None:
    words = {**given}
    if "neurons" in given:
        words["neurons"] = ";".join(map(str, given["neurons"]))
    typed = ",".join(f"{name}={value}" for name, value in words.items())
    assert build(typed) == build(json.dumps(given))


@pytest.mark.parametrize(
    ("typed", "low"), [("1e-4", 1e-4), ("1E-4", 1e-4), (".5e-1", 0.05), ("0.0001", 1e-4)]
)
def test_small_bounds_in_scientific_notation(typed: str, low: float) -> None:
    gate = build(f"layer=8,neurons=1,multiplier=2,gate=margin,low={typed},high=3e-1")
    assert gate.tasks["*"].gate.low == low
    assert gate.tasks["*"].gate.high == 0.3
    assert build(f"plan=sna-reference,low={typed}").tasks["sna_sst2"].gate.low == low


def test_these_are_all_arguments() -> None:
    assert {*NAMED, *FOUND, *ACROSS, *LEARNED, *BUNDLED} == set(PlanArguments.names())


def test_what_the_arguments_stand_for() -> None:
    (intervention,) = build(json.dumps(NAMED)).tasks["*"].interventions
    assert intervention.neurons == {"": (12, 845, 3071)}
    assert intervention.unit == "head"
    assert (intervention.layer, intervention.multiplier, intervention.positions) == (8, 2.5, "last")
    (intervention,) = (
        build("layer=8,top_k=15,multiplier=2,select=attribution").tasks["*"].interventions
    )
    assert intervention.select is not None
    assert (intervention.select.method, intervention.select.top_k, intervention.select.seed) == (
        "attribution",
        15,
        None,
    )
    (intervention,) = build(json.dumps(FOUND)).tasks["*"].interventions
    assert intervention.select is not None
    assert (intervention.select.method, intervention.select.seed, intervention.select.pooling) == (
        "random",
        3,
        "last",
    )
    assert (intervention.select.max_prompts, intervention.select.sinks) == (40, "keep")
    (intervention,) = build("layer=8,top_k=15,multiplier=2,select=random").tasks["*"].interventions
    assert intervention.select is not None
    assert intervention.select.seed == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neurons": [1, 2.0]}, r"neurons\[1\]: expected a whole number, got 2.0"),
        ({"neurons": [True]}, r"neurons\[0\]: expected a whole number, got True"),
        ({"neurons": ["1"]}, r"neurons\[0\]: expected a whole number, got '1'"),
        ({"neurons": [[1]]}, r"neurons\[0\]: expected a whole number, got \[1\]"),
        ({"neurons": [3, 1, 3]}, "neurons: expected each neuron once, got '3 twice'"),
        ({"neurons": "1;1"}, "neurons: expected each neuron once, got '1 twice'"),
        ({"neurons": {"a": [1]}}, r"neurons: expected indices such as 12;845;3071, in JSON \[12"),
        ({"neurons": 1.5}, "neurons: expected indices such as 12;845;3071"),
        ({"layer": 8.5}, "layer: expected a whole number, got 8.5"),
        ({"layer": "8"}, "layer: expected a whole number, got '8'"),
        ({"layer": [8]}, r"layer: expected a whole number, got \[8\]"),
        ({"multiplier": "2"}, "multiplier: expected a number, got '2'"),
        ({"multiplier": True}, "multiplier: expected a number, got True"),
        ({"multiplier": 10**400}, "multiplier: expected a finite number"),
        ({"positions": ["all"]}, "positions: expected a text"),
        ({"direction": 1}, 'direction: expected a text, got 1; put it in quotes: "1"'),
        ({"direction": False}, "direction: expected a text, got False; YAML reads no, off or"),
        ({"allow_oracle": 1}, "allow_oracle: expected true or false, got 1"),
        ({"allow_oracle": "true"}, "allow_oracle: expected true or false, got 'true'"),
        ({"gate": ["margin"]}, "gate.signal: expected a text"),
        ({"low": "0.2"}, "gate.low: expected a number, got '0.2'"),
        ({"high": [1]}, "gate.high: expected a number"),
        ({"transition": True}, "gate.transition: expected a text"),
        ({"method": ["caa"]}, "method: expected one of sna"),
        ({"unit": "neuron"}, "unit: expected one of mlp, head, feature, got 'neuron'"),
        ({"top_k": 3}, "top_k: expected no such argument beside neurons="),
        ({"seed": 3}, "seed: expected no such argument beside neurons="),
        ({"plan": "sna-reference"}, "layer: expected no such argument beside plan="),
    ],
)
def test_refuses_in_named_neurons(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(json.dumps({**NAMED, **change}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top_k": 1.5}, "select.top_k: expected a whole number, got 1.5"),
        ({"top_k": "15"}, "select.top_k: expected a whole number, got '15'"),
        ({"select": {"method": "random"}}, "select.method: expected a text"),
        ({"select": "attribution"}, "select.pooling: expected `mean` for `attribution`"),
        ({"select": "contrastive"}, "select.seed: expected no such key for `contrastive`"),
        ({"pooling": 1}, "select.pooling: expected a text"),
        ({"seed": 1.5}, "select.seed: expected a whole number, got 1.5"),
        ({"seed": -1}, "select.seed: expected a whole number from 0, got -1"),
        ({"seed": True}, "select.seed: expected a whole number, got True"),
        ({"method": "random_neurons"}, "select.method: expected a ranking of neurons"),
        ({"method": "caa", "multiplier": None}, "select: expected no such argument beside a meth"),
    ],
)
def test_refuses_in_selections(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(json.dumps({**FOUND, **change}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**LEARNED, "strength": "1"}, "strength: expected a number, got '1'"),
        ({**LEARNED, "seed": 1}, "seed: expected no such argument beside a method that chooses no"),
        ({**LEARNED, "unit": "head"}, "unit: expected one of the keys method"),
        ({"plan": ["sna-reference"]}, "plan: expected a file, or one of"),
        ({"plan": 3}, "plan: expected a file, or one of"),
        ({"plan": "sna-reference", "seed": 1}, "seed: expected no such argument beside plan="),
    ],
)
def test_refuses_elsewhere(given: dict[str, Any], message: str) -> None:
    arguments = model_arguments(json.dumps(given))
    assert PlanMakerOptions.take(arguments) is None
    with pytest.raises(InputError, match=message):
        plan_from_arguments(arguments)


@pytest.mark.parametrize("name", PlanArguments.names())
def test_odd_values_are_taken_or_refused_in_one_line(name: str) -> None:
    """No value of any JSON type ends in another error; most are refused, in one line."""
    base = next(one for one in (NAMED, FOUND, ACROSS, LEARNED, BUNDLED) if name in one)
    refused = 0
    for value in ODD:
        given = {**base, name: value}
        try:
            PlanMakerOptions.take(given)
            plan_from_arguments(given)
        except InputError as error:
            refused += len(str(error).splitlines()) == 1
    assert refused >= len(ODD) // 2
