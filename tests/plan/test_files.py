"""Plan files: what they say, what they refuse, and that they come back as they went."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.plan import (
    Provenance,
    TaskPlan,
    acting_fingerprint,
    bundled_plans,
    load_plan,
    match_pattern,
    match_task,
    model_fingerprint,
    neurons_fingerprint,
    parse_plan,
    plan_fingerprint,
    plan_from_arguments,
    plan_to_dict,
    save_plan,
)
from sna_eval.plan.files import task_to_dict

TEXT = """
version: 1
model: {name: gpt2-medium, n_layers: 24, d_mlp: 4096}
defaults:
  gate: {signal: target_prob, low: 0.07, high: 0.10, transition: leave}
tasks:
  "sna_math_*":
    interventions:
      - layer: 8
        multiplier: 2.5
        positions: all
        select: {method: differential, top_k: 15, prompts: development, reference: neutral}
  "sna_math_easy":
    gate: {low: 0.05}
    interventions:
      - {layer: 3, multiplier: 2, neurons: [12, 845]}
      - {layer: 21, multiplier: 1.5, neurons: [7], positions: last}
  "sna_sst2":
    gate: {signal: margin}
    interventions:
      - {layer: 21, multiplier: 12.0, direction: both, select: {method: contrastive, top_k: 10}}
  "*":
    gate: never
    interventions: []
"""


def plan_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(TEXT)
    return values


def test_reads_what_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(TEXT)
    plan = load_plan(tmp_path / "plan.yaml")
    assert plan.model.n_layers == 24
    math = plan.tasks["sna_math_*"]
    assert math.gate == Gate("target_prob", 0.07, 0.10)
    assert math.interventions[0].select is not None
    assert math.interventions[0].select.top_k == 15
    easy = plan.tasks["sna_math_easy"]
    assert easy.gate == Gate("target_prob", 0.05, 0.10)
    assert [entry.neurons for entry in easy.interventions] == [{"": (12, 845)}, {"": (7,)}]
    assert plan.tasks["sna_sst2"].gate == Gate("margin", 0.30, 0.60)
    assert plan.tasks["*"].gate.mode == "never"


def test_the_most_specific_pattern_wins() -> None:
    plan = parse_plan(plan_values())
    assert match_pattern(plan, "sna_math_easy") == "sna_math_easy"
    assert match_pattern(plan, "sna_math_hard") == "sna_math_*"
    assert match_pattern(plan, "arc_easy") == "*"
    del (values := plan_values())["tasks"]["*"]
    assert match_task(parse_plan(values), "arc_easy") is None


def test_comes_back_equal(tmp_path: Path) -> None:
    plan = parse_plan(plan_values())
    save_plan(plan, tmp_path / "saved.yaml")
    again = load_plan(tmp_path / "saved.yaml")
    assert again == plan
    assert plan_fingerprint(again) == plan_fingerprint(plan)


def test_fingerprints_tell_plans_apart() -> None:
    values = plan_values()
    values["tasks"]["sna_math_easy"]["interventions"][0]["multiplier"] = 2.0000001
    assert plan_fingerprint(parse_plan(values)) != plan_fingerprint(parse_plan(plan_values()))


@pytest.mark.parametrize("shape", [(64, 256), (256, 64), (1, 256), (3, 64, 256), (256,)])
def test_a_scaled_neuron_makes_another_model(shape: tuple[int, ...]) -> None:
    """Whichever it is, and whichever way round a projection lies: exports scale a few neurons."""

    def model(*scaled: int) -> nn.Module:
        module = nn.Module()
        weight = torch.arange(1.0, 1 + math.prod(shape)).reshape(shape)
        neurons = weight if shape[-1] == 256 else weight.transpose(0, 1)
        neurons[..., list(scaled)] *= 2
        module.weight = nn.Parameter(weight)
        return module

    plain = model_fingerprint(model())
    assert plain == model_fingerprint(model())
    assert len({plain, *(model_fingerprint(model(one)) for one in (1, 77, 255))}) == 4


def test_what_acts_is_told_apart_from_how_it_was_found() -> None:
    plan = parse_plan(plan_values()).tasks["sna_math_easy"]
    found = replace(plan.interventions[0], found=Provenance(method="by hand"))
    same = replace(plan, interventions=(found, *plan.interventions[1:]))
    wider = replace(plan, gate=replace(plan.gate, high=plan.gate.high + 0.1))
    other = replace(plan, interventions=(replace(found, multiplier=9.0), *plan.interventions[1:]))

    def acting(task_plan: TaskPlan) -> str:
        return acting_fingerprint(json.loads(json.dumps(task_to_dict(task_plan))))

    assert acting(same) == acting(plan)
    assert neurons_fingerprint(same) == neurons_fingerprint(wider) == neurons_fingerprint(plan)
    assert acting(wider) != acting(plan)
    assert len({acting(one) for one in (plan, wider, other)}) == 3
    assert neurons_fingerprint(other) != neurons_fingerprint(plan)


def test_bundled_plans_load() -> None:
    names = bundled_plans()
    papers = {"gpt2-medium-paper", "gpt2-small-paper", "pythia-160m-paper"}
    assert {"sna-reference", *papers} <= {*names}
    for name in names:
        assert load_plan(name).tasks


def test_the_bundled_plan_s_gates_do_not_look_at_right_answers() -> None:
    """But for the task whose items were built for zone 2 of a gate that does."""
    tasks = load_plan("sna-reference").tasks
    assert [name for name, task in tasks.items() if task.gate.sees_answer] == ["sna_transition"]


def broken(path: str, value: Any) -> dict[str, Any]:
    """The plan with one value replaced, by a dotted path."""
    values = plan_values()
    *parents, last = path.split("/")
    place: Any = values
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    place[last] = value
    return values


ENTRY = "tasks/sna_math_*/interventions/0"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("version", 2, "version: expected 1, got 2"),
        ("colour", 1, "colour: expected one of the keys version, model, defaults, tasks"),
        ("tasks", {}, "tasks: expected a mapping from task names or globs"),
        ("model", {"depth": 3}, "model.depth: expected one of the keys"),
        ("tasks/sna_sst2/speed", 1, "tasks.sna_sst2.speed: expected one of the keys"),
        (f"{ENTRY}/multiplyer", 2, r"interventions\[0\].multiplyer: expected one of the keys"),
        (f"{ENTRY}/multiplier", None, r"multiplier: expected a value, got None; add this key"),
        (f"{ENTRY}/multiplier", float("nan"), "multiplier: expected a finite number"),
        (f"{ENTRY}/multiplier", "big", "multiplier: expected a number"),
        (f"{ENTRY}/layer", -1, "layer: expected a layer from 0"),
        (f"{ENTRY}/layer", True, "layer: expected a whole number"),
        (f"{ENTRY}/neurons", [1], "interventions: expected either `select` or `neurons`"),
        (f"{ENTRY}/select", None, "interventions: expected either `select` or `neurons`"),
        (f"{ENTRY}/select", {"top_k": 0}, "select.top_k: expected at least 1"),
        (f"{ENTRY}/select", {"max_prompts": 0}, "select.max_prompts: expected at least 1"),
        (f"{ENTRY}/select", {"sinks": "half"}, "select.sinks: expected one of drop, keep"),
        (f"{ENTRY}/select", {"method": "magic"}, "select.method: expected one of"),
        (f"{ENTRY}/select", {"prompts": "test"}, "select.prompts: expected one of development"),
        (f"{ENTRY}/direction", "gold", "set `allow_oracle: true`"),
        (f"{ENTRY}/direction", 3, "direction: expected a text"),
        (f"{ENTRY}/allow_oracle", "yes", "allow_oracle: expected true or false"),
        ("tasks/sna_sst2/gate", {"low": 0.9}, "gate.low: expected at most gate.high"),
        ("tasks/sna_sst2/interventions", {}, "interventions: expected a list"),
        ("tasks/sna_math_easy/interventions/0/neurons", ["a"], "expected a whole number"),
        (
            "tasks/sna_math_easy/interventions/0/neurons",
            [7, 1, 2, 1],
            "neurons: expected each neuron once, got '1 twice'",
        ),
        (
            f"{ENTRY}/select",
            {"method": "attribution", "pooling": "last"},
            "select.pooling: expected",
        ),
        (f"{ENTRY}/select", {"seed": 1}, "select.seed: expected no such key for `differential`"),
        (f"{ENTRY}/select", {"method": "random", "seed": -1}, "select.seed: expected a whole num"),
        (f"{ENTRY}/select", {"method": "random", "seed": "one"}, "seed: expected a whole number"),
    ],
)
def test_refuses(path: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_plan(broken(path, value))


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="plan: expected a file, or one of"):
        load_plan(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("tasks: [")
    with pytest.raises(InputError, match="expected a YAML file"):
        load_plan(tmp_path / "bad.yaml")
    (tmp_path / "code.yaml").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(InputError, match="expected a YAML file"):
        load_plan(tmp_path / "code.yaml")


def test_inline_plans() -> None:
    gate = {"gate": "target_prob", "low": 0.07, "high": 0.1}
    plan = plan_from_arguments({"layer": 8, "top_k": 15, "multiplier": 2.5, **gate})
    assert plan.tasks["*"].gate == Gate("target_prob", 0.07, 0.10)
    listed = plan_from_arguments(
        {"layer": 8, "neurons": "12;845;3071", "multiplier": 2, "gate": "always"}
    )
    assert listed.tasks["*"].interventions[0].neurons == {"": (12, 845, 3071)}
    assert listed.tasks["*"].gate.mode == "always"
    (vector,) = (
        plan_from_arguments({"layer": 8, "method": "caa", "strength": 2, "gate": "margin"})
        .tasks["*"]
        .interventions
    )
    assert (vector.layer, vector.method, vector.strength) == (8, "caa", 2.0)
    assert plan_from_arguments({"method": "temperature", "gate": "always"}).tasks
    single = plan_from_arguments({"layer": 8, "neurons": 12, "multiplier": 2})
    assert single.tasks["*"].interventions[0].neurons == {"": (12,)}


def test_gate_arguments_change_a_plan(tmp_path: Path) -> None:
    save_plan(parse_plan(plan_values()), tmp_path / "plan.yaml")
    never = plan_from_arguments({"plan": str(tmp_path / "plan.yaml"), "gate": "never"})
    assert {task.gate.mode for task in never.tasks.values()} == {"never"}
    assert plan_from_arguments({"gate": "never"}).tasks == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "plan: expected plan=NAME_OR_PATH, or an inline plan with layer="),
        ({"plan": "sna-reference", "layer": 3}, "layer: expected no such argument beside plan="),
        ({"layer": 3, "neurons": "1;x", "multiplier": 2}, "neurons: expected indices such as"),
        ({"layer": 3, "neurons": "1", "top_k": 2, "multiplier": 2}, "top_k: expected no such"),
        ({"layer": 3, "top_k": 2}, "multiplier: expected a value"),
        ({"layer": 3, "method": "magic"}, "method: expected one of sna, "),
        ({"method": "caa"}, "layer: expected a value"),
        (
            {"layer": 3, "method": "caa", "top_k": 2},
            "top_k: expected no such argument beside a met",
        ),
        ({"layer": 3, "method": "caa", "neurons": 2}, "neurons: expected no such argument beside"),
        ({"plan": "sna-reference", "method": "caa"}, "method: expected no such argument beside p"),
    ],
)
def test_impossible_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_from_arguments(arguments)


def test_naming_a_signal_follows_it() -> None:
    """Beside a default that amplifies everything, a task's own signal decides."""
    raw = {
        "version": 1,
        "defaults": {"gate": "always"},
        "tasks": {
            "a": {"gate": "margin", "interventions": []},
            "b": {"gate": {"low": 0.2, "high": 0.4}, "interventions": []},
        },
    }
    plan = parse_plan(raw)
    assert plan.tasks["a"].gate.mode == "confidence"
    assert plan.tasks["b"].gate.mode == "always"


def test_the_same_entry_twice_is_refused() -> None:
    entry = {"layer": 1, "multiplier": 2.0, "neurons": [1]}
    raw = {"version": 1, "tasks": {"a": {"interventions": [entry, entry]}}}
    with pytest.raises(InputError, match=r"expected each entry once.*multiply its multiplier"):
        parse_plan(raw)


def test_labels_may_share_neurons() -> None:
    values = broken("tasks/sna_math_easy/interventions/0/neurons", {"a": [1, 2], "b": [2]})
    intervention = parse_plan(values).tasks["sna_math_easy"].interventions[0]
    assert intervention.neurons == {"a": (1, 2), "b": (2,)}
    values = broken("tasks/sna_math_easy/interventions/0/neurons", {"a": [1, 2], "b": [2, 2]})
    with pytest.raises(InputError, match="neurons: expected each neuron once, got '2 twice'"):
        parse_plan(values)


@pytest.mark.parametrize("method", ["random_neurons", "bottom_neurons"])
def test_controls_of_random_neurons_are_refused(method: str) -> None:
    values = broken(f"{ENTRY}/select", {"method": "random"})
    values["tasks"]["sna_math_*"]["interventions"][0]["method"] = method
    with pytest.raises(
        InputError, match=f"a ranking of neurons, for method {method}, got 'random'"
    ):
        parse_plan(values)


def test_only_what_counts_for_a_selection_is_written() -> None:
    """These keys stand in fingerprints of plans that exist."""
    common = {"top_k": 10, "prompts": "development", "max_prompts": 256, "sinks": "drop"}
    pooled = {"pooling": "mean"}
    compared = {"reference": "neutral", **pooled}
    for select, expected in (
        ({}, {"method": "differential", **common, **compared}),
        ({"method": "contrastive"}, {"method": "contrastive", **common, **pooled}),
        ({"method": "attribution"}, {"method": "attribution", **common}),
        ({"method": "random"}, {"method": "random", **common, **compared, "seed": 0}),
    ):
        plan = parse_plan(broken(f"{ENTRY}/select", select))
        written = plan_to_dict(plan)["tasks"]["sna_math_*"]["interventions"][0]["select"]
        assert written == expected
        assert parse_plan(plan_to_dict(plan)) == plan
