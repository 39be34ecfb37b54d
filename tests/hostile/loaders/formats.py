"""Parquet and safetensors from values, so that what they say can be damaged and not only bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save

from tests.hostile.fuzz import Seed


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def parquet_seed(table: pa.Table) -> Seed:
    """Rows whose values are changed: written by the schema as far as they fit it."""

    def write(rows: Any) -> bytes:
        for schema in (table.schema, None):
            try:
                return parquet_bytes(pa.Table.from_pylist(rows, schema=schema))
            except (pa.ArrowException, TypeError, ValueError, AttributeError, OverflowError):
                continue
            except (RecursionError, KeyError, IndexError):
                break
        return b""

    return Seed(parquet_bytes(table), table.to_pylist(), write)


def tensors_seed(tensors: dict[str, torch.Tensor]) -> Seed:
    """A header whose names, types, shapes and places are changed."""
    content = save(tensors)
    (length,) = struct.unpack("<Q", content[:8])
    data = content[8 + length :]

    def write(header: Any) -> bytes:
        text = json.dumps(header).encode("utf-8", "surrogatepass")
        return struct.pack("<Q", len(text)) + text + data

    return Seed(content, json.loads(content[8 : 8 + length]), write)
