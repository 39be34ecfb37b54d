"""Plans of methods with parameters: what they say, where long vectors go, what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.intervention import Addition, LogitScaling, Vector, find_sites
from sna_eval.plan import (
    Plan,
    PlannedIntervention,
    Provenance,
    Selection,
    TaskPlan,
    check_task,
    load_plan,
    parse_plan,
    plan_fingerprint,
    plan_to_dict,
    save_plan,
)
from tests.conftest import build_model

LONG = Vector(torch.linspace(-1, 1, 200))
SHORT = Vector.of([0.1, -2.5, 1e-8])


def planned(vector: Vector, **changes: Any) -> Plan:
    entry = PlannedIntervention(
        2,
        method="caa",
        positions="continuation",
        strength=1.5,
        parameters={"vector": vector},
        **changes,
    )
    return Plan({"a_task": TaskPlan(Gate("max_prob", 0.2, 0.4), (entry,))})


def entry(**values: Any) -> dict[str, Any]:
    return {"version": 1, "tasks": {"t": {"interventions": [values]}}}


@pytest.mark.parametrize("vector", [LONG, SHORT])
def test_comes_back_equal(tmp_path: Path, vector: Vector) -> None:
    plan = planned(vector, found=Provenance.of({"n_pairs": 3}))
    save_plan(plan, tmp_path / "plan.yaml")
    assert load_plan(tmp_path / "plan.yaml") == plan
    assert (tmp_path / "plan.safetensors").is_file() == (vector is LONG)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in tmp_path.glob("plan.*"):
        path.rename(moved / path.name)
    assert plan_fingerprint(load_plan(moved / "plan.yaml")) == plan_fingerprint(plan)


def test_a_vector_of_zeros_and_one_of_a_long_file_are_told_apart() -> None:
    other = Vector(LONG.values + 1e-6)
    assert plan_fingerprint(planned(other)) != plan_fingerprint(planned(LONG))
    assert str(LONG.sha256) in yaml.safe_dump(plan_to_dict(planned(LONG)))


def test_numbers_that_were_changed_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    save_plan(planned(LONG), path)
    beside = tmp_path / "plan.safetensors"
    (key,) = load_file(beside)
    save_file({key: LONG.values + 1}, beside)
    with pytest.raises(InputError, match="vectors: expected numbers whose hash is"):
        load_plan(path)
    save_file({Vector.of([1.0]).sha256: torch.ones(1)}, beside)
    with pytest.raises(
        InputError, match=r"vector: expected a vector that the file beside the plan"
    ):
        load_plan(path)
    beside.write_text("no tensors")
    with pytest.raises(InputError, match=r"vectors: expected a .safetensors file beside the plan"):
        load_plan(path)
    beside.unlink()
    with pytest.raises(InputError, match=r"vectors: expected a .safetensors file beside the plan"):
        load_plan(path)


@pytest.mark.parametrize("name", ["../plan.safetensors", "/etc/passwd", "plan.pkl", 3])
def test_only_a_file_beside_the_plan_is_read(tmp_path: Path, name: Any) -> None:
    raw = {**plan_to_dict(planned(LONG)), "vectors": name}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(InputError, match=r"vectors: expected the name of a .safetensors file"):
        load_plan(tmp_path / "plan.yaml")


CAA = {"layer": 1, "method": "caa"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layer": 1, "method": "magic"}, r"interventions\[0\].method: expected one of sna, "),
        ({"method": "caa"}, r"interventions\[0\].layer: expected a value"),
        ({**CAA, "multiplier": 2.0}, r"multiplier: expected one of the keys"),
        ({**CAA, "select": {}}, r"select: expected one of the keys"),
        ({**CAA, "strength": ".inf"}, r"strength: expected a number"),
        ({**CAA, "options": {"k": 1}}, r"options.k: expected an option of caa: none"),
        ({**CAA, "options": 3}, r"options: expected a mapping"),
        ({**CAA, "parameters": 3}, r"parameters: expected a mapping from names to numbers"),
        ({**CAA, "parameters": {"vector": [1, "x"]}}, r"vector\[1\]: expected a number"),
        ({**CAA, "parameters": {"vector": {"length": 3}}}, r"vector.sha256: expected a value"),
        ({"layer": 1, "multiplier": 2.0, "strength": 2.0}, r"strength: expected one of the keys"),
    ],
)
def test_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_plan(entry(**values))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "caa", "select": Selection()}, "select: expected no such key with method caa"),
        ({"method": "caa", "neurons": {"": (1,)}}, "neurons: expected no such key with method caa"),
        ({"method": "caa", "strength": float("nan")}, "strength: expected a finite number"),
        (
            {"neurons": {"": (1,)}, "parameters": {}},
            "parameters: expected no such key with method sna",
        ),
    ],
)
def test_what_does_not_go_together(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PlannedIntervention(1, **changes)


def test_ungated_opens_the_gate_of_its_task() -> None:
    settings = {"layer": 1, "multiplier": 2.0, "neurons": [1]}
    plan = parse_plan(entry(**settings, method="ungated"))
    assert plan.tasks["t"].gate.mode == "always"
    both = {
        "version": 1,
        "tasks": {"t": {"interventions": [settings, {**settings, "method": "ungated"}]}},
    }
    with pytest.raises(InputError, match="`ungated` for all interventions of a task or for none"):
        parse_plan(both)


def test_some_methods_need_no_layer() -> None:
    plan = parse_plan(entry(method="temperature", parameters={"temperature": [2.0]}))
    (intervention,) = plan.tasks["t"].interventions
    assert intervention.built() == (LogitScaling(0, 2.0),)
    plan = parse_plan(entry(method="few_shot", parameters={"prompt": "2 + 2 = 4\n\n"}))
    assert plan.tasks["t"].prompt == "2 + 2 = 4\n\n"


def test_parameters_are_checked_against_the_model() -> None:
    sites = find_sites(build_model("gpt2"))
    (task,) = planned(SHORT).tasks.values()
    with pytest.raises(InputError, match=r"plan.interventions\[0\].vector: expected 32 numbers"):
        check_task(task, sites, field="plan")
    fitting = Vector(torch.ones(32))
    (task,) = planned(fitting).tasks.values()
    check_task(task, sites, field="plan")
    assert task.interventions[0].built() == (Addition(2, fitting, 1.5, "continuation"),)


ONE, TWO = [1.5], [1.5, 0.5]


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        ("temperature", {}, "parameters.temperature: expected a list of numbers, got None"),
        (
            "temperature",
            {"temperature": "hot"},
            "temperature: expected a list of numbers, got 'hot'",
        ),
        ("temperature", {"temperature": []}, r"expected a list of one number, got \[\]"),
        ("temperature", {"temperature": TWO}, r"expected a list of one number, got \[1.5, 0.5\]"),
        (
            "temperature",
            {"temperature": [-2.0]},
            "temperature: expected a number above 0, got -2.0",
        ),
        ("temperature", {"temperature": [0.0]}, "temperature: expected a number above 0, got 0.0"),
        ("temperature", {"temperature": ONE, "t": ONE}, "parameters.t: expected no parameter but"),
        ("ia3", {}, "parameters.layer_001: expected a list of numbers, got None"),
        ("ia3", {"layer_001": "x"}, "parameters.layer_001: expected a list of numbers, got 'x'"),
        ("ia3", {"layer_001": ONE}, r"factors: expected 128 numbers.*got 1"),
        ("ia3", {"layer_001": [1.0] * 128, "layer_099": [1.0] * 128}, "layer: expected a layer"),
        *(
            ("ia3", {"layer_001": ONE, name: ONE}, rf"parameters.{name}: expected a name such as")
            for name in ("layer_x", "layer_1", "layer", "other_002", "layer_-01", "layer_0001")
        ),
        ("activscalar", {"attention": ONE}, "parameters.mlp: expected a list of numbers, got None"),
        ("activscalar", {"attention": ONE * 9, "mlp": ONE}, "layer: expected a layer from 0 to 3"),
        ("activscalar", {"attention": ONE, "mlp": ONE, "x": ONE}, "parameters.x: expected no"),
        ("caa", {"vector": "up"}, "parameters.vector: expected a list of numbers, got 'up'"),
        (
            "caa",
            {"vector": [1.0] * 32, "other": ONE},
            "parameters.other: expected no parameter but",
        ),
        ("actadd", {}, "parameters.token_000: expected a list of numbers, got None"),
        (
            "actadd",
            {"token_000": [1.0] * 32, "third": ONE},
            "token_001: expected a list of numbers",
        ),
        ("few_shot", {}, "parameters.prompt: expected a text, got None"),
        ("few_shot", {"prompt": ONE}, "parameters.prompt: expected a text"),
        ("few_shot", {"prompt": "x", "y": "z"}, "parameters.y: expected no parameter but prompt"),
    ],
)
def test_parameters_of_odd_shapes_are_one_line(
    method: str, parameters: dict[str, Any], message: str
) -> None:
    """As a hand-edited plan may have them; a well-formed one is told by the tests above."""
    plan = parse_plan(entry(layer=1, method=method, parameters=parameters))
    with pytest.raises(InputError, match=rf"plan.interventions\[0\]\..*{message}"):
        check_task(plan.tasks["t"], find_sites(build_model("gpt2")), field="plan")


@pytest.mark.parametrize(("value", "strength"), [(2.0, 1e4), (0.5, -1e4), (0.5, 1e4)])
def test_a_strength_that_no_temperature_survives(value: float, strength: float) -> None:
    raw = entry(method="temperature", strength=strength, parameters={"temperature": [value]})
    with pytest.raises(InputError, match=r"interventions\[0\].temperature: expected a .*number"):
        check_task(parse_plan(raw).tasks["t"], find_sites(build_model("gpt2")), field="plan")


def test_a_thousand_tokens_keep_their_places() -> None:
    """Names sort as texts: `token_1000` stands before `token_101`."""
    names = [f"token_{number:03d}" for number in range(1200)]
    raw = entry(
        layer=1,
        method="actadd",
        parameters={name: [float(number)] for number, name in enumerate(names)},
    )
    (intervention,) = parse_plan(raw).tasks["t"].interventions
    for number, addition in enumerate(intervention.built()):
        assert isinstance(addition, Addition)
        assert (addition.token, addition.vector.tolist()) == (number, [float(number)])
