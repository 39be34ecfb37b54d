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
    plan = planned(vector, found={"n_pairs": 3})
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
    own = {"layer": 1, "multiplier": 2.0, "neurons": [1]}
    plan = parse_plan(entry(**own, method="ungated"))
    assert plan.tasks["t"].gate.mode == "always"
    both = {"version": 1, "tasks": {"t": {"interventions": [own, {**own, "method": "ungated"}]}}}
    with pytest.raises(InputError, match="`ungated` for all interventions of a task or for none"):
        parse_plan(both)


def test_some_methods_need_no_layer() -> None:
    plan = parse_plan(entry(method="temperature", parameters={"temperature": [2.0]}))
    (own,) = plan.tasks["t"].interventions
    assert own.built() == (LogitScaling(0, 2.0),)
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
