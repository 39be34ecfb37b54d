"""The store: written in units, taken up again, refused where it holds something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sna_eval.errors import InputError
from sna_eval.files import PART
from sna_eval.study.sweep.schemas import MEASURED, SCHEMAS, Unit, UnitTables
from sna_eval.study.sweep.store import SweepStore

MANIFEST: dict[str, Any] = {
    "model": "tiny",
    "seed": 0,
    "tasks": {
        "b/c": {"grid": {"layers": [2, 5], "multipliers": [1.5]}},
        "a": {"grid": {"layers": [0], "multipliers": [1.5]}},
    },
}


_SOME = {
    pa.string(): "{}", pa.int32(): 1, pa.int8(): 1, pa.float64(): 0.5, pa.bool_(): False,
}  # fmt: skip
"""A value of each type."""


def filled(unit: Unit) -> UnitTables:
    """A unit of one row a table."""
    tables = {}
    for name, schema in SCHEMAS.items():
        values = {column.name: _SOME[column.type] for column in schema}
        row = {**values, "task": unit.task, "layer": unit.layer, "source": MEASURED}
        tables[name] = pa.Table.from_pylist([row], schema=schema)
    return UnitTables(unit, tables)


def test_units_come_back_in_the_sweeps_order(tmp_path: Path) -> None:
    store = SweepStore.begin(tmp_path / "s", MANIFEST)
    units = [Unit("b/c", 2), Unit("b/c", 5), Unit("a", 0)]
    assert store.units == store.pending() == units
    assert store.configurations().num_rows == 0
    for unit in (units[2], units[0]):
        store.write(filled(unit))
    assert store.pending() == [units[1]]
    store.write(filled(units[1]))
    again = SweepStore.load(tmp_path / "s")
    for name, table in (
        ("configurations", again.configurations()),
        ("items", again.items()),
        ("neurons", again.neurons()),
    ):
        assert table.schema == SCHEMAS[name]
        keys = list(zip(table["task"].to_pylist(), table["layer"].to_pylist(), strict=True))
        assert keys == [(unit.task, unit.layer) for unit in units]
    assert again.table("items", tasks=["a"]).num_rows == 1


def test_the_named_columns_are_there() -> None:
    named = (
        "task layer n_neurons multiplier model plan_fingerprint split n_items baseline_prob "
        "amplified_prob delta_prob improvement_pct zone"
    )
    assert SCHEMAS["configurations"].names[:13] == named.split()


def test_a_unit_counts_only_when_all_of_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write is stopped before each of its three renames in turn."""
    store = SweepStore.begin(tmp_path, MANIFEST)
    unit = Unit("a", 0)
    rename = Path.replace
    for survivors in range(3):
        left = [survivors]

        def stopped(self: Path, target: Path, left: list[int] = left) -> Path:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return rename(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", stopped)
            with pytest.raises(KeyboardInterrupt):
                store.write(filled(unit))
        assert unit in store.pending()
    assert not list(tmp_path.rglob(PART))
    left = tmp_path / "items" / ".0123.part"  # of a process that was killed outright
    left.touch()
    store = SweepStore.begin(tmp_path, MANIFEST)
    assert not left.exists()
    store.write(filled(unit))
    assert unit not in store.pending()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, r"output\.seed: expected 0, as .* was begun with, got 1"),
        (
            {"tasks": {**MANIFEST["tasks"], "a": {"grid": {"layers": [0], "multipliers": [2.0]}}}},
            r"output\.tasks\.a\.grid\.multipliers: expected \[1\.5\]",
        ),
        ({"tasks": {"a": MANIFEST["tasks"]["a"]}}, r"output\.tasks\.b/c\.grid\.layers: expected"),
    ],
)
def test_another_sweep_is_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    SweepStore.begin(tmp_path, MANIFEST)
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(InputError, match=message) as error:
        SweepStore.begin(tmp_path, {**MANIFEST, **changed})
    assert "\n" not in str(error.value)
    assert "name another folder" in str(error.value)
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="store: expected a folder written by `sna-eval sweep`"):
        SweepStore.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="store: expected a folder written by `sna-eval sweep`"):
        SweepStore.load(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"version": 99}))
    with pytest.raises(InputError, match=r"store\.version: expected 1, got 99"):
        SweepStore.load(tmp_path)
