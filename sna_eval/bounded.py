"""Files from outside, within bounds: what is larger is refused before it can fill the memory.

Parsed JSON takes some twenty times the memory of its text, and a folder may hold anything: a disk
image under the name of a result file, a device that never ends, one line of gigabytes. Bounds are
far above what this package and lm_eval write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError

MIB = 2**20
LARGEST_FILE = 32 * MIB
"""Bytes of a file that is read as a whole."""
LONGEST_LINE = 8 * MIB
"""Bytes of a line, where a file is read line by line."""
MOST_LINES = 1_000_000


def read_content(path: Path, *, largest: int = LARGEST_FILE) -> bytes:
    """A whole file.

    **Raises:** `InputError` for one of more than `largest` bytes, whatever its size is said to be.
    """
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise _too_large(path, largest)
    return content


def read_text(path: Path, *, largest: int = LARGEST_FILE) -> str:
    """A whole text file in UTF-8."""
    return read_content(path, largest=largest).decode("utf-8")


def read_json(
    path: Path,
    *,
    largest: int = LARGEST_FILE,
    mapping: Callable[[dict[str, Any]], Any] | None = None,
) -> Any:
    """What a JSON file holds.

    **Arguments:**

    - `mapping`: makes something else of every mapping in it.
    """
    return json.loads(read_text(path, largest=largest), object_hook=mapping)


def read_lines(path: Path, *, largest: int | None = None) -> Iterator[tuple[int, bytes]]:
    """A file's lines with their numbers from 1, one in memory at a time.

    **Arguments:**

    - `largest`: bytes of the file at most, where the lines are kept.

    **Raises:** `InputError` for a line that is too long, and for too many of them.
    """
    size = 0
    with path.open("rb") as file:
        for number in range(1, MOST_LINES + 1):
            line = file.readline(LONGEST_LINE + 1)
            if not line:
                return
            size += len(line)
            if largest is not None and size > largest:
                raise _too_large(path, largest)
            if len(line) > LONGEST_LINE:
                raise InputError(
                    f"{path}:{number}", expected=f"a line of at most {LONGEST_LINE / MIB:g} MiB",
                    got=line[:40].decode("utf-8", "replace"),
                )  # fmt: skip
            yield number, line
        if file.read(1):
            raise InputError(
                str(path), expected=f"at most {MOST_LINES:,} lines", got="more",
                hint="split the file",
            )  # fmt: skip


def _too_large(path: Path, largest: int) -> InputError:
    size = path.stat().st_size  # of a device or a pipe: 0
    return InputError(
        str(path), expected=f"a file of at most {largest / MIB:g} MiB",
        got=f"{size / MIB:,.1f} MiB" if size > largest else "more",
    )  # fmt: skip
