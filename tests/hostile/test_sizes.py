"""Files of 100 MB: read, or refused in one line, in bounded memory.

Measured in processes of their own; `MOST` and `SECONDS` are what docs/reliability.md promises.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from sna_eval.files import LARGEST_FILE, LONGEST_LINE, MIB
from sna_eval.intervention import Vector
from sna_eval.study.sweep.schemas import SCHEMAS
from tests.hostile.loaders import LOADERS, adapters, stores
from tests.hostile.loaders.formats import parquet_bytes
from tests.hostile.loaders.runs import SAMPLES, sample
from tests.hostile.memory import load_apart

SIZE = 100 * MIB
MOST = 1536
"""MiB that a file may cost."""
SECONDS = 600
"""A guard against hangs: nothing here measures speed."""


def written(path: Path, pieces: Iterator[bytes]) -> None:
    """Writes pieces until the file has its size."""
    size = 0
    with path.open("wb") as file:
        while size < SIZE:
            size += file.write(next(pieces))


def check(name: str, folder: Path) -> str:
    """What the loader says of the folder, in bounds."""
    ending = load_apart(name, folder, seconds=SECONDS)
    assert ending.grown < MOST, ending
    assert "\n" not in ending.said
    assert len(ending.said) < 1000
    return ending.said


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.slow
def test_one_line_of_zeros(name: str, tmp_path: Path) -> None:
    """A hole in the disk: 100 MB that take no time to write."""
    with LOADERS[name].lay_out(tmp_path).open("wb") as file:
        file.truncate(SIZE)
    said = check(name, tmp_path)
    assert said or name == "cache entry"


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("line", [b"\xc3\xa9 \xff garbage", b"[", b"- ", b'{"a":'])
def test_garbage(name: str, line: bytes, tmp_path: Path) -> None:
    """The same few bytes over and over, with and without line breaks."""
    for end in (b"", b"\n"):
        block = (line + end) * (MIB // len(line + end))
        written(LOADERS[name].lay_out(tmp_path), itertools.repeat(block))
        said = check(name, tmp_path)
        assert said or name == "cache entry"


# As much as the bounds let through, made to take as much memory as it can

_DENSE = {
    "empty lists": b"[],",
    "empty mappings": b"{},",
    "floats": b"1.5,",
    "nested": b"[[[1]]],",
}
_WHOLE = (
    "results", "gated results", "app results", "manifest", "ia3 record", "interference",
    "methods unit", "methods settings", "cache entry",
)  # fmt: skip
"""Loaders of JSON that is read as a whole."""


@pytest.mark.slow
@pytest.mark.parametrize("piece", _DENSE)
@pytest.mark.parametrize("name", _WHOLE)
def test_dense_json(name: str, piece: str, tmp_path: Path) -> None:
    count = (LARGEST_FILE - 20) // len(_DENSE[piece])
    content = b"[" + _DENSE[piece] * count + b"1]"
    LOADERS[name].lay_out(tmp_path).write_bytes(content)
    said = check(name, tmp_path)
    assert said or name == "cache entry"


@pytest.mark.slow
@pytest.mark.parametrize("piece", _DENSE)
@pytest.mark.parametrize("name", ["samples", "app samples", "items", "prompts"])
def test_dense_lines(name: str, piece: str, tmp_path: Path) -> None:
    inside = _DENSE[piece] * ((LONGEST_LINE - 100) // len(_DENSE[piece]))
    line = b'{"doc": [' + inside + b'1], "target": ""}\n'
    written(LOADERS[name].lay_out(tmp_path), itertools.repeat(line))
    check(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * (2 * MIB - 10) + "1]",
        "a: " + "x" * (4 * MIB - 10),
        "a: " + "x " * (2 * MIB - 10),
        "a: 1" + ":59" * MIB,
        "a: 0x" + "F" * (4 * MIB - 10),
        "".join(f"k{n}: &a{n} {{}}\n" for n in range(200_000)),
        "- " * (2 * MIB - 10),
        "? " * (2 * MIB - 10),
        "{a: " * (MIB - 10),
        "a: 'x" + "''" * (2 * MIB - 10) + "'",
        "a: |\n" + "  x\n" * (MIB - 10),
        "# " * (2 * MIB - 10),
        "\n" * (4 * MIB - 10),
    ],
    ids=range(13),
)
def test_dense_yaml(text: str, tmp_path: Path) -> None:
    LOADERS["plan"].lay_out(tmp_path).write_text(text)
    assert check("plan", tmp_path)


# Valid files of 100 MB


@pytest.mark.slow
def test_samples_are_read(tmp_path: Path) -> None:
    line = (json.dumps(sample(0) | {"doc": {"text": "x" * 500}}) + "\n").encode()
    lines = (line.replace(b'"d0"', b'"d%d"' % number) for number in itertools.count())
    written(LOADERS["samples"].lay_out(tmp_path), lines)
    assert (tmp_path / SAMPLES).stat().st_size >= SIZE
    assert check("samples", tmp_path) == ""


@pytest.mark.slow
def test_vectors_are_read(tmp_path: Path) -> None:
    loader = LOADERS["vectors"]
    target = loader.lay_out(tmp_path)
    (seed,) = loader.seeds()
    known = Vector(torch.tensor([number / 7 for number in range(70)]))
    assert known.sha256 in seed.values
    further = [Vector(torch.full((MIB,), float(number))) for number in range(25)]
    save_file({vector.sha256: vector.values for vector in (known, *further)}, target)
    assert target.stat().st_size >= SIZE
    assert check("vectors", tmp_path) == ""


@pytest.mark.slow
@pytest.mark.parametrize("value", [1.0, 2.0, None])
def test_an_adapter_of_100_mb(value: float | None, tmp_path: Path) -> None:
    """Idle vectors, one multiplier for everything, and a trained one."""
    target = LOADERS["ia3"].lay_out(tmp_path)
    size = SIZE // 4
    vector = torch.arange(size) / size if value is None else torch.full((size,), value)
    save_file({adapters.NAME: vector[None]}, target)
    expected = {
        1.0: "expected a vector with an entry other than 1",
        2.0: "expected at most 200,000 scaled neurons",
        None: "expected at most 64 different multipliers",
    }
    assert expected[value] in check("ia3", tmp_path)


def one_row(name: str, text: str) -> pa.Table:
    """A row of a table, with a text in it."""
    (row, *_) = stores.tables()[name].to_pylist()
    found = {**row, **({"found": text} if "found" in row else {"direction": text})}
    return pa.Table.from_pylist([found], schema=SCHEMAS[name])


@pytest.mark.parametrize(
    ("name", "rows", "text", "message"),
    [
        ("items", 6_000_000, "both", "6,000,000 rows; 5,000,000 at most"),
        ("configurations", 190_000, "x" * 20_000, "bytes of text; 536,870,912 at most"),
    ],
)
@pytest.mark.slow
def test_tables_that_stand_for_more_than_they_take(
    name: str, rows: int, text: str, message: str, tmp_path: Path
) -> None:
    """Equal rows: Parquet writes each value once, and how often it stands there."""
    loader = LOADERS["store" if name == "configurations" else "store items"]
    table = one_row(name, text)
    indices = pa.array([0] * rows, pa.int32())
    columns = [
        pa.DictionaryArray.from_arrays(indices, column.combine_chunks())
        if pa.types.is_string(column.type) and not column.null_count
        else column.take(indices)
        for column in table.columns
    ]
    content = parquet_bytes(pa.table(columns, names=table.column_names))
    assert len(content) < MIB
    loader.lay_out(tmp_path).write_bytes(content)
    assert message in check("store" if name == "configurations" else "store items", tmp_path)


# Headers that lie


def header(length: int, text: bytes) -> bytes:
    return length.to_bytes(8, "little") + text


@pytest.mark.parametrize("name", ["ia3", "vectors"])
@pytest.mark.parametrize(
    "content",
    [
        header(2**63, b"{}"),
        header(2**40, b"{}"),
        header(90 * MIB, b"{}"),
        header(2, b"{}" + b"\0" * 64),
        *(
            header(len(text), text) + b"\0" * 16
            for text in (
                b'{"a":{"dtype":"F32","shape":[1,1099511627776],"data_offsets":[0,4398046511104]}}',
                b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,18446744073709551615]}}',
                b'{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,16]}}',
                b'{"a":{"dtype":"F8_E8M0","shape":[16],"data_offsets":[0,16]}}',
                b'{"a":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[0,0]}}',
            )
        ),
    ],
    ids=range(9),
)
@pytest.mark.slow
def test_headers_that_claim_too_much(name: str, content: bytes, tmp_path: Path) -> None:
    LOADERS[name].lay_out(tmp_path).write_bytes(content)
    assert check(name, tmp_path)


def test_bounds_are_what_is_said() -> None:
    """The bounds in the messages and in the documentation."""
    assert (LARGEST_FILE, LONGEST_LINE) == (32 * MIB, 8 * MIB)
