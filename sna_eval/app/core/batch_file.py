"""Files of prompts and targets, JSONL or CSV: good rows are kept, bad ones named by their line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sna_eval.app.core.question import TypedQuestion, typed_question
from sna_eval.errors import InputError
from sna_eval.typed import Json

LARGEST_FILE = 4 * 2**20
"""Bytes."""
MOST_ROWS = 5_000


@dataclass(frozen=True)
class FileRow:
    """A good row."""

    line: int
    question: TypedQuestion


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used."""

    line: int
    why: str


@dataclass(frozen=True)
class PromptFile:
    """What a file holds."""

    rows: tuple[FileRow, ...]
    bad: tuple[BadRow, ...]


def read_prompt_file(name: str, content: bytes, *, space: bool) -> PromptFile:
    """Reads `prompt`, `target` and, if there are choices, `others` of every row.

    **Arguments:**

    - `name`: the file's name; what ends in `.csv` is CSV with a header, anything else JSONL.
    - `space`: whether a target that begins with no space gets one.

    **Raises:** `InputError` for a file that is too large, no UTF-8, or without a single good row.
    """
    if len(content) > LARGEST_FILE:
        raise InputError(
            "file",
            expected=f"at most {LARGEST_FILE / 2**20:.0f} MB",
            got=f"{len(content) / 2**20:.1f} MB",
            hint="split it; `lm_eval --model sna` takes any size",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("file", expected="UTF-8 text", got=name, hint=str(error)) from error
    read = _csv_rows if name.lower().endswith(".csv") else _json_rows
    good: list[FileRow] = []
    bad: list[BadRow] = []
    for line, row in read(text):
        if len(good) + len(bad) == MOST_ROWS:
            bad.append(BadRow(line, f"left out: a file may have {MOST_ROWS:,} rows"))
            break
        question = row if isinstance(row, str) else _question(row, space=space)
        if isinstance(question, str):
            bad.append(BadRow(line, question))
        else:
            good.append(FileRow(line, question))
    if not good:
        reason = f"line {bad[0].line}: {bad[0].why}" if bad else "no rows"
        raise InputError("file", expected="rows with `prompt` and `target`", got=name, hint=reason)
    return PromptFile(tuple(good), tuple(bad))


def _json_rows(text: str) -> Iterator[tuple[int, Json | str]]:
    """Line number and object, or what is wrong."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"no JSON: {error}"
            continue
        yield number, row if isinstance(row, dict) else "no JSON object"


def _csv_rows(text: str) -> Iterator[tuple[int, Json | str]]:
    """Line number, where the row ends, and row, or what is wrong."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"no CSV: {error}"
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
        elif cells and len(cells) != len(header):
            yield reader.line_num, f"{len(cells)} cells under {len(header)} headings"
        elif cells:
            row: dict[str, Any] = dict(zip(header, cells, strict=True))
            if row.get("others"):
                row["others"] = row["others"].split("|")
            yield reader.line_num, {key: value for key, value in row.items() if value != ""}


def _question(row: Json, *, space: bool) -> TypedQuestion | str:
    """The question, or what is wrong with the row."""
    for name in ("prompt", "target"):
        if name not in row:
            return f"no `{name}`"
        if not isinstance(row[name], str):
            return f"`{name}` is no text"
    others = row.get("others", [])
    if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
        return "`others` is no list of texts"
    try:
        return typed_question(row["prompt"], row["target"], others, space=space)
    except InputError as error:
        return str(error)
