"""What was found in plans, each with the file that brought it to light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.plan import Plan, PlannedIntervention, TaskPlan, files, load_plan, save_plan
from tests.hostile.fuzz import at_most
from tests.hostile.loaders import LOADERS, laid_out

PLAN = "version: 1\ntasks: {x: {gate: always, interventions: [{layer: 1, neurons: [1], %s}]}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAN % ("multiplier: 1" + "0" * 400), "multiplier: expected a finite number, got 1000"),
        (PLAN % ("multiplier: 2, scores: [1" + "0" * 400 + "]"), "expected a finite number"),
        (PLAN % "multiplier: 2, scores: [.nan]", "expected a finite number, got nan"),
        (PLAN % ("multiplier: " + "9" * 5000), "plan: expected a YAML file, got .*digits"),
        (PLAN % "multiplier: 2020-13-45", "plan: expected a YAML file, got .*month"),
        ("version: 1\ntasks: " + "[" * 200 + "]" * 200, "tasks: expected a mapping"),
        ("[" * 5000, "plan: expected a YAML file"),
    ],
)
def test_plans(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_plan(laid_out("plan", tmp_path, text))


BOMB = ["&a0 [x]", *(f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))]
"""Each line ten times the one before, down to a hundred thousand million."""


@pytest.mark.parametrize("place", ["- {}", "  x: {{gate: {}}}", "  x: {{interventions: [{}]}}"])
def test_a_yaml_bomb_is_refused_at_once(place: str, tmp_path: Path) -> None:
    inside = f"[{', '.join(BOMB)}]"
    text = place.format(inside)
    file = laid_out("plan", tmp_path, text if place[0] == "-" else f"version: 1\ntasks:\n{text}")
    with at_most(20), pytest.raises(InputError) as refused:
        load_plan(file)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "~nobody-known/plan.yaml", "../..", ""])
def test_names_that_are_no_paths(name: str) -> None:
    with pytest.raises(InputError, match="plan: expected"):
        load_plan(name)


def with_value(value: str) -> str:
    return PLAN % f"multiplier: 2, found: {{a: {value}}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAN % ("multiplier: 0x" + "F" * 5000), "plan: expected a YAML file, got .*digits"),
        (PLAN % ("multiplier: 1" + ":59" * 3000), "plan: expected a YAML file, got .*digits"),
        (with_value("1" + ":59" * 3000), "plan: expected a YAML file, got .*digits"),
        ("version: 0x" + "F" * 2500, "version: expected 1, got 1"),
        ("0x" + "F" * 3500 + ": 1", "plan: expected a YAML file, got .*digits"),
        (with_value("2020-12-31"), r"found.a: expected texts, numbers.*put it in quotes"),
        (with_value("!!set {b}"), r"found.a: expected texts, numbers, lists and mappings"),
        (with_value("!!binary aGk="), r"found.a: expected texts, numbers, lists and mappings"),
        (with_value("[" * 30 + "]" * 30), "expected values nested 20 deep at most"),
        (PLAN % ("multiplier: 1" + ":59" * 900 + ".5"), "plan: expected a YAML .*OverflowError"),
        (with_value("!!int ''"), "plan: expected a YAML file.*IndexError"),
        (with_value("!!bool x"), "plan: expected a YAML file.*KeyError"),
        (with_value("!!timestamp x"), "plan: expected a YAML file.*AttributeError"),
        (with_value("!!omap [a]"), "plan: expected a YAML file.*ConstructorError|ValueError"),
        (with_value('"\\ud83e"'), "plan: expected a YAML file.*surrogates not allowed"),
        (PLAN % "multiplier: 2, found: text", "found: expected a mapping, got 'text'"),
        (PLAN % "multiplier: 2, found: 5", "found: expected a mapping, got 5"),
        (PLAN % "multiplier: 2, multiplier: 3", "the key 'multiplier' twice"),
        (PLAN % "multiplier: 2" + "\ntasks: {y: {interventions: []}}", "the key 'tasks' twice"),
        ("a: &a {b: *a}", "a value that contains itself"),
        ("&a {<<: *a}", "a value that contains itself"),
    ],
)
def test_what_yaml_lets_through(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as refused:
        load_plan(laid_out("plan", tmp_path, text))
    assert len(str(refused.value)) < 1000


def test_values_too_large_to_show() -> None:
    """What stands for a thousand thousand million parts, and what is nested without end."""
    wide: list[Any] = [1]
    deep: list[Any] = []
    for _ in range(12):
        wide = [wide] * 10
    for _ in range(100_000):
        deep = [deep]
    with at_most(10):
        for value in (wide, deep):
            assert len(str(InputError("a", expected="b", got=value))) < 200


def test_numbers_too_long_to_show() -> None:
    """Python 3.11 and later raise where such a number is to be written."""
    refused = InputError("a", expected="b", got={"c": [2**20_000]})
    assert str(refused) == "a: expected b, got a value of type dict that is too long to show"


MERGED = "\n".join(
    ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], y{n}: 1}}"
                         for n in range(1, 12))]
)  # fmt: skip
"""Mappings merged into one another, ten times as many at each line."""
ENTRIES = "version: 1\ntasks: {{x: {{gate: always, interventions: [{}]}}}}"
SHARED = ENTRIES.format(
    ",\n".join(
        f"{{layer: {n}, multiplier: 2, neurons: {'*n' if n else f'&n {list(range(1000))}'}}}"
        for n in range(1000)
    )
)
"""One list in a thousand places."""


@pytest.mark.parametrize("text", [MERGED, SHARED], ids=["merged", "shared"])
def test_aliases_that_stand_for_too_much(text: str, tmp_path: Path) -> None:
    with at_most(20), pytest.raises(InputError, match="more than 400,000 values"):
        load_plan(laid_out("plan", tmp_path, text))


def test_anchors_and_merged_keys_are_read(tmp_path: Path) -> None:
    text = (
        "version: 1\ntasks:\n  a: &a {gate: &g {signal: margin}, interventions: []}\n"
        "  b: {<<: *a, gate: always}\n  c: {gate: *g, interventions: []}\n"
    )
    tasks = load_plan(laid_out("plan", tmp_path, text)).tasks
    assert tasks["a"].gate == tasks["c"].gate
    assert tasks["a"].gate.signal == "margin"
    assert tasks["b"].gate.mode == "always"


def test_thousands_of_entries() -> None:
    """Each was compared with each: minutes for a file of a megabyte."""
    entries = [PlannedIntervention(1, 2.0, neurons={"": (n,)}) for n in range(30_000)]
    with at_most(60):
        TaskPlan(Gate(), tuple(entries))
        with pytest.raises(InputError, match="expected each entry once"):
            TaskPlan(Gate(), (*entries, entries[7]))


def test_equal_entries_written_differently(tmp_path: Path) -> None:
    one = "{layer: 1, multiplier: 2, neurons: {a: [1], b: [2]}, found: {x: 1, y: [1, {z: 2}]}}"
    other = "{found: {y: [1, {z: 2}], x: 1}, neurons: {b: [2], a: [1]}, multiplier: 2.0, layer: 1}"
    text = ENTRIES.format(f"{one}, {other}")
    with pytest.raises(InputError, match="expected each entry once"):
        load_plan(laid_out("plan", tmp_path, text))


def test_a_plan_too_large_to_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a bound of a hundredth: writing 4 MiB of YAML takes long."""
    monkeypatch.setattr(files, "_LARGEST_FILE", files._LARGEST_FILE // 100)
    entry = PlannedIntervention(1, 2.0, neurons={"": tuple(range(5_000))})
    with pytest.raises(InputError, match=r"plan: expected at most 0.04 MiB of YAML, got '[\d.]+ M"):
        save_plan(Plan({"x": TaskPlan(Gate(), (entry,))}), tmp_path / "plan.yaml")
    assert not (tmp_path / "plan.yaml").exists()


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_output_that_is_no_file(name: str) -> None:
    with pytest.raises(InputError, match="output: expected a file to write the plan to"):
        save_plan(load_plan("sna-reference"), name)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(2, 70), torch.ones(0), torch.full((70,), torch.nan),
        torch.ones(70, dtype=torch.int64), torch.ones(70, dtype=torch.bool),
    ],
)  # fmt: skip
def test_vectors_of_another_kind(tensor: torch.Tensor, tmp_path: Path) -> None:
    """Under the name that the plan asks for; what was refused is said in one line."""
    (seed,) = LOADERS["vectors"].seeds()
    (key,) = (name for name in seed.values if name != "__metadata__")
    laid_out("vectors", tmp_path, save({key: tensor}))
    with pytest.raises(InputError, match=r"vectors: expected|parameters: expected"):
        load_plan(tmp_path / "plan.yaml")
