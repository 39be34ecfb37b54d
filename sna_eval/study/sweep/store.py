"""The store of a sweep: a folder of Parquet files and a manifest.

    DIR/manifest.json                                   what was run, and with what
    DIR/configurations/TASK/layer-008.parquet           one row per configuration
    DIR/items/TASK/layer-008.parquet                    one row per configuration and item
    DIR/neurons/TASK/layer-008.parquet                  each layer's neurons, best first

`pandas.read_parquet("DIR/configurations")` reads a whole table; of a screened sweep it holds
predicted rows too, told by their `source`, which `SweepStore` leaves out unless asked. Files are
written under another name and renamed, the configurations' last: a unit is there when that file is,
whenever the sweep was killed. One sweep writes a store at a time: it holds a
lock on `DIR/.lock`, which goes with its process.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sna_eval.errors import InputError, reading, writing
from sna_eval.files import PART, write_whole, write_whole_json
from sna_eval.study.same_settings import check_same
from sna_eval.study.sweep.manifest import ASKED, VERSION, read_manifest
from sna_eval.study.sweep.schemas import MEASURED, SCHEMAS, Unit, UnitTables
from sna_eval.study.sweep.table_files import read_table
from sna_eval.typed import Json

_ORDER = ("neurons", "items", "configurations")
"""Tables in the order of writing: the last one says that a unit is complete."""


@dataclass(frozen=True)
class SweepStore:
    """A sweep's results on disk."""

    path: Path
    manifest: Json

    @classmethod
    def begin(cls, path: str | Path, manifest: Json) -> SweepStore:
        """Starts a store, or takes up one that was begun with the same manifest.

        **Raises:** `InputError` where the folder holds another sweep.
        """
        path = Path(path)
        plain: dict[str, Any] = json.loads(json.dumps({"version": VERSION, **manifest}))
        if (path / "manifest.json").exists():
            before, after = (
                {key: value for key, value in one.items() if key != ASKED}
                for one in (read_manifest(path), plain)
            )
            check_same(before, after, where=path)
        else:
            with writing(path):
                write_whole_json(path / "manifest.json", plain, indent=2)
        for left in path.rglob(PART):
            left.unlink(missing_ok=True)
        return cls(path, plain)

    @classmethod
    def load(cls, path: str | Path) -> SweepStore:
        """Opens a store for reading."""
        return cls(Path(path), read_manifest(Path(path)))

    @property
    def units(self) -> list[Unit]:
        """Everything the sweep consists of, in its order."""
        return [
            Unit(task, layer)
            for task, described in self.manifest["tasks"].items()
            for layer in described["grid"]["layers"]
        ]

    def pending(self) -> list[Unit]:
        """Units not yet there."""
        return [unit for unit in self.units if not self._file("configurations", unit).exists()]

    def check_complete(self) -> None:
        """Raises `InputError` while units are missing."""
        pending = self.pending()
        if pending:
            raise InputError(
                "store",
                expected="a complete sweep",
                got=f"{len(pending)} of {len(self.units)} units missing",
                hint="run the same `sna-eval sweep` again, it goes on where it was",
            )

    def write(self, result: UnitTables) -> None:
        """Writes a unit; a killed process leaves all of it or nothing that counts."""
        for name in _ORDER:
            file = self._file(name, result.unit)
            sink = pa.BufferOutputStream()
            pq.write_table(result.tables[name], sink, compression="zstd", write_page_checksum=True)
            with writing(file):
                write_whole(file, sink.getvalue().to_pybytes())

    def table(
        self, name: str, *, tasks: Sequence[str] | None = None, predicted: bool = False
    ) -> pa.Table:
        """One of the tables `configurations`, `items` and `neurons`, in the order of the units.

        **Arguments:**

        - `tasks`: the tasks wanted; `None` means all.
        - `predicted`: whether configurations count that were predicted and never measured.
        """
        missing = set(self.pending())
        tables = [
            self.unit_table(name, unit, predicted=predicted)
            for unit in self.units
            if (tasks is None or unit.task in tasks) and unit not in missing
        ]
        return pa.concat_tables(tables) if tables else SCHEMAS[name].empty_table()

    def unit_table(self, name: str, unit: Unit, *, predicted: bool = False) -> pa.Table:
        """One unit's rows of a table; see `table`."""
        file = self._file(name, unit)
        with reading(
            "store", expected="a table that `sna-eval sweep` wrote", got=str(file),
            hint="delete the unit's files, and the same sweep computes it anew",
        ):  # fmt: skip
            table = read_table(file, name, unit)
        if predicted or "source" not in table.column_names:
            return table
        return table.filter(pc.equal(table.column("source"), MEASURED))

    def configurations(self, *, predicted: bool = False) -> pa.Table:
        return self.table("configurations", predicted=predicted)

    def items(self) -> pa.Table:
        return self.table("items")

    def neurons(self) -> pa.Table:
        return self.table("neurons")

    def _file(self, name: str, unit: Unit) -> Path:
        return self.path / name / quote(unit.task, safe="") / f"layer-{unit.layer:03d}.parquet"
