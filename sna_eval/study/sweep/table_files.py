"""One table file of a store, read as a file from outside.

Parquet keeps what repeats once: a file of a kilobyte can stand for more rows, and its texts for
more bytes, than any memory holds. How many there are is looked up before anything is spelt out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sna_eval.study.sweep.schemas import MEASURED, SCHEMAS, SOURCES, Unit

MOST_ROWS = {"configurations": 200_000, "items": 5_000_000, "neurons": 500_000}
"""Of one unit, that is a task at a layer; each far above any grid, benchmark and layer."""
MOST_TEXT = 512 * 2**20
"""Bytes of all texts of a unit's table."""
_KEY = ("task", "layer")
_COMPLETE = {
    "configurations": (
        *_KEY, "n_neurons", "multiplier", "n_items", "baseline_prob", "amplified_prob",
        "delta_prob", "zone", "found", "direction", "oracle",
    ),
    "items": (
        *_KEY, "n_neurons", "multiplier", "direction", "item", "zone", "confidence",
        "baseline_prob", "amplified_prob",
    ),
    "neurons": (*_KEY, "label", "rank", "neuron", "score"),
}  # fmt: skip
"""Columns with a value in every row."""
_LIMITS = {
    "multiplier": (-sys.float_info.max, sys.float_info.max),
    **dict.fromkeys(("confidence", "baseline_prob", "amplified_prob"), (-0.001, 1.001)),
    "delta_prob": (-1.001, 1.001),
}
"""What numbers may be, with room for rounding; NaN where a dtype was too narrow."""


def read_table(file: Path, name: str, unit: Unit) -> pa.Table:
    """One unit's rows of the table `name`.

    **Raises:** `ValueError` and what else a damaged file runs pyarrow into.
    """
    _check_size(file, name)
    table = pq.read_table(file, schema=SCHEMAS[name], page_checksum_verification=True)
    table.validate(full=True)
    table = _completed(table)
    for column in _COMPLETE[name]:
        values = table.column(column)
        if values.null_count:
            raise ValueError(f"a row without {column}")
        if column in _LIMITS and not _within(values, *_LIMITS[column]):
            raise ValueError(f"a row whose {column} is out of bounds")
    if "source" in table.column_names and set(table["source"].unique().to_pylist()) - SOURCES:
        raise ValueError("a row of an unknown source")
    for column, expected in zip(_KEY, (unit.task, unit.layer), strict=True):
        if not pc.all(pc.equal(table.column(column), expected), min_count=0).as_py():
            raise ValueError("rows of another unit")
    return table


def _completed(table: pa.Table) -> pa.Table:
    """Stores of before say nothing of sources: they hold what was measured."""
    for name, value in (("source", MEASURED), ("drawn", False)):
        if name in table.column_names:
            place = table.column_names.index(name)
            filled = pc.fill_null(table.column(name), value)
            table = table.set_column(place, table.schema.field(place), filled)
    return table


def _within(values: pa.ChunkedArray, low: float, high: float) -> bool:
    outside = pc.or_(pc.less(values, low), pc.greater(values, high))
    return not pc.any(outside).as_py()


def _check_size(file: Path, name: str) -> None:
    """Raises `ValueError` where the table would fill the memory."""
    schema = SCHEMAS[name]
    there = pq.read_schema(file).names
    texts = [
        column.name for column in schema if column.type == pa.string() and column.name in there
    ]
    with pq.ParquetFile(file, read_dictionary=texts, page_checksum_verification=True) as parquet:
        rows, columns = parquet.metadata.num_rows, parquet.schema_arrow
        if rows > MOST_ROWS[name]:
            raise ValueError(f"{rows:,} rows; {MOST_ROWS[name]:,} at most")
        for column in columns:
            if pa.types.is_nested(column.type):
                raise ValueError(f"{column.name} is no column of plain values")
        size = sum(_text_bytes(column) for column in parquet.read(texts).columns)
    if size > MOST_TEXT:
        raise ValueError(f"{size:,} bytes of text; {MOST_TEXT:,} at most")


def _text_bytes(column: pa.ChunkedArray) -> int:
    """How long a column's texts are together, counted from its dictionary."""
    size = 0
    for chunk in column.chunks:
        if isinstance(chunk, pa.DictionaryArray):
            lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
            size += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    return size
