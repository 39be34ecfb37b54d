"""What was found in stores of sweeps, each with the file that brought it to light."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sna_eval.errors import InputError
from sna_eval.plan import Plan
from sna_eval.reporting.provenance import sweep_commands
from sna_eval.study.calibration import calibrate
from sna_eval.study.choosing import select
from sna_eval.study.summary import summarise
from sna_eval.study.sweep import row_plan, task_gate
from sna_eval.study.sweep.schemas import SCHEMAS
from sna_eval.study.sweep.store import SweepStore
from tests.hostile.loaders import laid_out
from tests.hostile.loaders.base import TASK
from tests.hostile.loaders.formats import parquet_bytes
from tests.hostile.loaders.stores import MANIFEST, file_of, parquet, tables


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
        (changed(unit="neuron"), "manifest.unit: expected one of mlp, head, feature, got 'neuron'"),
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


def test_a_flipped_bit_in_a_table_gives_no_other_number(tmp_path: Path) -> None:
    content = bytearray(parquet("configurations"))
    refused = 0
    places = range(4, len(content) // 3, 7)
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


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("configurations", "n_neurons"), ("configurations", "found"),
        ("configurations", "direction"), ("configurations", "oracle"),
        ("configurations", "delta_prob"), ("configurations", "baseline_prob"),
        ("configurations", "zone"), ("configurations", "n_items"),
        ("items", "confidence"), ("items", "amplified_prob"), ("items", "baseline_prob"),
        ("items", "layer"), ("items", "task"),
        ("neurons", "rank"), ("neurons", "neuron"), ("neurons", "score"), ("neurons", "label"),
    ],
)  # fmt: skip
def test_any_table_that_lacks_a_value(name: str, column: str, tmp_path: Path) -> None:
    rows = tables()[name].to_pylist()
    rows[-1][column] = None
    store = broken_table(tmp_path, name, rows)
    with pytest.raises(InputError, match=f"store: expected a table that.*a row without {column}"):
        store.table(name)


def test_a_gate_by_its_signal_alone(tmp_path: Path) -> None:
    """As in a plan; it was taken for the fields of a gate."""
    laid_out("manifest", tmp_path, changed(tasks=task(gate="margin")))
    assert task_gate(SweepStore.load(tmp_path), TASK).signal == "margin"


def broken_table(folder: Path, name: str, rows: list[dict[str, Any]]) -> SweepStore:
    """A store with other rows in one of its tables."""
    laid_out("store", folder, parquet("configurations"))
    content = parquet_bytes(pa.Table.from_pylist(rows, schema=SCHEMAS[name]))
    (folder / file_of(name)).write_bytes(content)
    return SweepStore.load(folder)


def rows_of(name: str, **changes: Any) -> list[dict[str, Any]]:
    return [{**row, **changes} for row in tables()[name].to_pylist()]


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("items", "confidence", 1.5), ("items", "baseline_prob", -0.5),
        ("items", "amplified_prob", 1e308), ("configurations", "delta_prob", -2.0),
        ("configurations", "multiplier", math.inf),
    ],
)  # fmt: skip
def test_numbers_out_of_bounds(name: str, column: str, value: float, tmp_path: Path) -> None:
    store = broken_table(tmp_path, name, rows_of(name, **{column: value}))
    with pytest.raises(InputError, match=f"a row whose {column} is out of bounds"):
        store.table(name)


@pytest.mark.filterwarnings("error")
def test_a_task_without_items(tmp_path: Path) -> None:
    """Said once, and not in NumPy's words before."""
    store = broken_table(tmp_path, "items", [])
    with pytest.raises(InputError, match=f"store: expected a value in every.*no items of {TASK}"):
        select(store)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_confidences_that_are_no_numbers(value: float, tmp_path: Path) -> None:
    store = broken_table(tmp_path, "items", rows_of("items", confidence=value))
    with pytest.raises(InputError, match="store: expected"):
        select(store)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_gains_that_are_no_numbers(value: float, tmp_path: Path) -> None:
    store = broken_table(tmp_path, "items", rows_of("items", amplified_prob=value))
    with pytest.raises(InputError, match="store: expected"):
        select(store)


@pytest.mark.parametrize("change", [{"task": "another"}, {"layer": 2}])
def test_rows_of_another_unit(change: dict[str, Any], tmp_path: Path) -> None:
    store = broken_table(tmp_path, "items", rows_of("items", **change))
    with pytest.raises(InputError, match="rows of another unit"):
        store.items()


def test_a_layer_where_no_neuron_responds(tmp_path: Path) -> None:
    """Its table of neurons is empty, and no damage."""
    assert broken_table(tmp_path, "neurons", []).neurons().num_rows == 0


def test_fewer_items_than_configurations_have(tmp_path: Path) -> None:
    rows = [*rows_of("configurations"), *rows_of("configurations", multiplier=2.0)]
    store = broken_table(tmp_path, "configurations", rows)
    store.path.joinpath(file_of("items")).write_bytes(parquet_bytes(tables()["items"].slice(0, 3)))
    with pytest.raises(InputError, match="the same items of every configuration"):
        select(store)


def test_texts_that_are_no_utf8(tmp_path: Path) -> None:
    bad = pa.array([b"sna_\xa0\xff"], pa.binary()).view(pa.string())
    table = tables()["configurations"]
    place = table.column_names.index("found")
    laid_out("store", tmp_path, parquet_bytes(table.set_column(place, "found", bad)))
    with pytest.raises(InputError, match="store: expected a table that"):
        SweepStore.load(tmp_path).configurations()


def test_columns_of_lists(tmp_path: Path) -> None:
    table = tables()["configurations"]
    place = table.column_names.index("delta_prob")
    lists = pa.array([[0.1] * 3], pa.list_(pa.float64()))
    laid_out("store", tmp_path, parquet_bytes(table.set_column(place, "delta_prob", lists)))
    with pytest.raises(InputError, match="delta_prob is no column of plain values"):
        SweepStore.load(tmp_path).configurations()


def test_a_grid_larger_than_its_rows(tmp_path: Path) -> None:
    """Rows on the diagonal of a grid of ten thousand million cells."""
    size = 100_000
    table = tables()["configurations"].take(pa.array([0] * size))
    for name, kind in (("n_neurons", pa.int32()), ("multiplier", pa.float64())):
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(range(1, size + 1), kind))
    laid_out("store", tmp_path, parquet_bytes(table))
    with pytest.raises(InputError, match="expected a value for every configuration"):
        summarise(SweepStore.load(tmp_path), draws=5)


@pytest.mark.parametrize("found", ["{", "[1]", "5", "null", "[" * 100_000])
def test_how_neurons_were_found(found: str, tmp_path: Path) -> None:
    store = broken_table(tmp_path, "configurations", rows_of("configurations", found=found))
    with pytest.raises(InputError, match="store: expected how neurons were found, in JSON"):
        select(store)


@pytest.mark.parametrize(
    "grid",
    [
        {"n_neurons": [10**400]}, {"multipliers": [10**400]}, {"multipliers": None},
        {"directions": [[]]}, {},
    ],
)  # fmt: skip
def test_commands_of_damaged_manifests(grid: dict[str, Any], tmp_path: Path) -> None:
    laid_out("manifest", tmp_path, changed(tasks=task(grid={"layers": [1], **grid})))
    with pytest.raises(InputError, match=r"manifest\."):
        sweep_commands(SweepStore.load(tmp_path).manifest)


def test_a_configuration_whose_items_are_missing(tmp_path: Path) -> None:
    store = broken_table(tmp_path, "items", rows_of("items", multiplier=7.0))
    with pytest.raises(InputError, match=r"store\.items: expected the same items of every conf"):
        calibrate(store, row_plan_of(store))


def row_plan_of(store: SweepStore) -> Plan:
    """The store's one configuration, behind a gate that looks."""
    (row,) = store.configurations().to_pylist()
    return row_plan(store, row).with_gate(lambda gate: replace(gate, mode="confidence"))
