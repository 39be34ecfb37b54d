"""What fuzzing found, each with the file that brought it to light."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sna_eval.errors import InputError
from sna_eval.harness.datasets import load_sst2, read_items
from sna_eval.plan import load_plan
from sna_eval.study.choosing import select
from sna_eval.study.compare import read_run
from sna_eval.study.interference import Interference
from sna_eval.study.sweep.schemas import SCHEMAS
from sna_eval.study.sweep.store import SweepStore
from tests.hostile.fuzz import at_most
from tests.hostile.loaders import LOADERS, MANIFEST, RESULTS, TASK, parquet, tables


def laid_out(name: str, folder: Path, content: str | bytes) -> Path:
    file = LOADERS[name].lay_out(folder)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": ', "test.jsonl:2: expected an item in JSON"),
        (b"[1, 2]", "test.jsonl:1: expected an item, a JSON object"),
        (b'{"a": "\xff"}', "test.jsonl: expected a text file in UTF-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", "test.jsonl:1: expected an item in JSON"),
        (b"[" * 100_000, "test.jsonl:1: expected an item in JSON"),
    ],
)
def test_items(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_items(laid_out("items", tmp_path, content))


def test_sst2_that_is_no_text(tmp_path: Path) -> None:
    laid_out("sst2", tmp_path, b"a film \xff\t1\n")
    with pytest.raises(InputError, match=r"train.tsv: expected a text file in UTF-8"):
        load_sst2(sst2_dir=str(tmp_path))


def changed(**changes: Any) -> str:
    return json.dumps({**MANIFEST, **changes})


def task(**changes: Any) -> dict[str, Any]:
    return {TASK: {**MANIFEST["tasks"][TASK], **changes}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps({"version": 1}), "manifest.tasks: expected a value, got None"),
        (changed(tasks="x"), "manifest.tasks: expected a mapping, got 'x'"),
        (changed(tasks={TASK: True}), f"manifest.tasks.{TASK}: expected a mapping, got True"),
        (changed(tasks=task(grid=[])), "grid: expected a mapping"),
        (changed(tasks=task(grid={})), "manifest.layers: expected a value"),
        (changed(tasks=task(grid={"layers": ["a"]})), "layers: expected whole numbers, got 'a'"),
        (changed(tasks=task(grid={"layers": [-1]})), "layers: expected layers from 0, got -1"),
        (changed(tasks=task(gate={"low": "x"})), "gate.low: expected a number, got 'x'"),
        (changed(tasks=task(gate={"speed": 1})), "gate.speed: expected one of the keys"),
        (changed(n_layers="4"), "manifest.n_layers: expected a whole number, got '4'"),
        (changed(model=[]), r"manifest.model: expected a text, got \[\]"),
        (changed(tasks={"x" * 300: task()[TASK]}), "manifest.tasks: expected names that a folder"),
        (changed(version=2), "store.version: expected 1, got 2"),
        ("[" * 100_000, "store: expected a folder written by `sna-eval sweep`.*RecursionError"),
    ],
)
def test_manifests(content: str, message: str, tmp_path: Path) -> None:
    laid_out("manifest", tmp_path, content)
    with pytest.raises(InputError, match=message):
        select(SweepStore.load(tmp_path))


@pytest.mark.parametrize("key", ["model", "split", "plan_fingerprint"])
def test_manifests_that_lack_a_key(key: str, tmp_path: Path) -> None:
    content = {name: value for name, value in MANIFEST.items() if name != key}
    laid_out("manifest", tmp_path, json.dumps(content))
    with pytest.raises(InputError, match=f"manifest.{key}: expected a value, got None"):
        select(SweepStore.load(tmp_path))


def test_tables_that_are_damaged(tmp_path: Path) -> None:
    file = laid_out("store", tmp_path, b"")
    for content in (b"", b"PAR1", b"PAR1" + b"\x00" * 60 + b"PAR1"):
        file.write_bytes(content)
        with pytest.raises(InputError, match="store: expected a table that `sna-eval sweep`"):
            SweepStore.load(tmp_path).configurations()


@pytest.mark.parametrize("column", ["multiplier", "layer", "task"])
def test_tables_that_lack_a_value(column: str, tmp_path: Path) -> None:
    file = laid_out("store", tmp_path, b"")
    (row,) = tables()["configurations"].to_pylist()
    table = pa.Table.from_pylist([{**row, column: None}], schema=SCHEMAS["configurations"])
    pq.write_table(table, file)
    with pytest.raises(InputError, match=r"store: expected a (value in every|table that)"):
        select(SweepStore.load(tmp_path))


def test_samples(tmp_path: Path) -> None:
    for content in (b'{"doc": "\xe8"}', b"[" * 100_000, b"[1]", b"null", b'{"doc": 1}'):
        laid_out("samples", tmp_path, content)
        record = read_run(tmp_path / LOADERS["results"].target).tasks[TASK]
        assert record.items is not None
        with pytest.raises(InputError, match=r"jsonl:1: expected a sample"):
            record.items()


def with_value(path: str, value: Any) -> str:
    """The result file with one value replaced."""
    content = json.loads(json.dumps(RESULTS))
    place: Any = content
    *parents, last = path.split("/")
    for key in parents:
        place = place[key]
    place[last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"group_subtasks/{TASK}", True),
        (f"group_subtasks/{TASK}", [[]]),
        (f"group_subtasks/{TASK}", [TASK]),  # a group within itself
        (f"n-shot/{TASK}", {"a": 1}),
        (f"versions/{TASK}", 10**400),
        (f"config/sna/tasks/{TASK}", "x"),
    ],
)
def test_results(path: str, value: Any, tmp_path: Path) -> None:
    file = laid_out("results", tmp_path, with_value(path, value))
    with pytest.raises(InputError, match="expected a result file as lm_eval writes it"):
        read_run(file)


def test_values_that_are_no_measurements_are_left_out(tmp_path: Path) -> None:
    file = laid_out("results", tmp_path, with_value(f"results/{TASK}/acc,none", 10**400))
    assert [name.metric for name in read_run(file).tasks[TASK].scores] == ["prob", "baseline_prob"]


@pytest.mark.parametrize("error", [5e-324, 1e308])
def test_standard_errors_that_cannot_be(error: float, tmp_path: Path) -> None:
    old = {"results": {"arc_challenge": {"acc": 0.3, "acc_stderr": error}}}
    run = read_run(laid_out("results", tmp_path, json.dumps(old)))
    assert run.tasks["arc_challenge"].facts["documents"] is None


def test_a_flipped_bit_in_a_table_gives_no_other_number(tmp_path: Path) -> None:
    content = bytearray(parquet("configurations"))
    refused = 0
    places = range(4, len(content) // 3)
    for place in places:
        content[place] ^= 1
        laid_out("store", tmp_path, bytes(content))
        content[place] ^= 1
        try:
            table = SweepStore.load(tmp_path).configurations()
        except InputError:
            refused += 1
            continue
        (row,), (expected,) = table.to_pylist(), tables()["configurations"].to_pylist()
        assert all(value in (None, expected[key]) for key, value in row.items())
    assert refused > len(places) // 2


def test_a_task_whose_name_no_file_can_have(tmp_path: Path) -> None:
    name = "sna_math" + "-" * 300
    text = json.dumps(RESULTS).replace(TASK, name)
    run = read_run(laid_out("results", tmp_path, text))
    assert run.tasks[name].items is None


@pytest.mark.parametrize("before", ["0.1", None, 10**400, float("inf"), [1]])
def test_effects_that_are_no_numbers(before: Any, tmp_path: Path) -> None:
    (seed,) = LOADERS["interference"].seeds()
    seed.values["effects"][0]["before"] = before
    laid_out("interference", tmp_path, json.dumps(seed.values))
    with pytest.raises(InputError, match="interference: expected a folder that"):
        Interference.load(tmp_path)


def test_an_interference_file_that_is_no_mapping(tmp_path: Path) -> None:
    laid_out("interference", tmp_path, '"text"')
    with pytest.raises(InputError, match="interference: expected a folder that"):
        Interference.load(tmp_path)


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
