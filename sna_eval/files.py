"""Files: where ours lie, how users name theirs, read within bounds, written whole or not at all.

A path that was typed may name nothing, or be no path at all. What is larger than a bound is refused
before it can fill the memory: parsed JSON takes some twenty times the memory of its text, and a
folder may hold anything: a disk image under the name of a result file, a device that never ends,
one line of gigabytes. Bounds are far above what this package and lm_eval write. Tensors come in the
safetensors format, which holds numbers and nothing that runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sna_eval.errors import InputError

if TYPE_CHECKING:
    import torch

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


PART = ".*.part"
"""What names of unfinished files match; those that a killed process left may be deleted."""


def write_whole(file: Path, content: bytes) -> None:
    """Writes a file in one step: under another name first, then renamed. Makes its folder.

    **Raises:** `OSError` where it cannot be written; nothing of it is left then.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{uuid4().hex}.part")  # no two writers share it, nor its length grows
    try:
        with part.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_whole_json(file: Path, value: Any, *, indent: int | None = None) -> None:
    """The same for plain JSON values."""
    write_whole(file, (json.dumps(value, indent=indent) + "\n").encode("ascii"))


_LARGEST_HEADER = 4 * 2**20  # bytes; a name, a type and a place take some hundred
_LENGTH = 8  # bytes at the start that give the header's
_DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError,
)  # fmt: skip
"""What the library runs into where a header lies about its tensors."""


def read_tensors(path: Path, *, largest: int) -> dict[str, torch.Tensor]:
    """All tensors of a file, by name.

    **Arguments:**

    - `largest`: bytes of the file at most.

    **Raises:** `ValueError` for anything that is no such file, and where it or its header is too
    large; `OSError` where it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    with path.open("rb") as file:
        header = int.from_bytes(file.read(_LENGTH), "little")
        if header > _LARGEST_HEADER:
            raise ValueError(f"a header of {header:,} bytes; {_LARGEST_HEADER:,} at most")
        file.seek(0)
        size = os.fstat(file.fileno()).st_size  # a read makes room for all that it is asked for
        content = file.read(min(largest, size) + 1)
    if len(content) > largest:
        raise ValueError(f"more than {largest:,} bytes")
    try:
        return dict(load(content))
    except (SafetensorError, *_DAMAGE) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


REFERENCE_MODEL = "sna-reference"
"""The bundled model's name, and the model where none is named."""
REFERENCE_PLAN = "sna-reference"
"""The bundled plan for that model."""
_PACKAGE = Path(__file__).resolve().parent


def tasks_path() -> Path:
    """Folder of the bundled task YAMLs: inside the wheel, or beside the package in a checkout."""
    installed = _PACKAGE / "task_configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "task_configs"


def plans_path() -> Path:
    """Folder of the bundled plans."""
    return _PACKAGE / "plans"


def reference_model_path() -> Path:
    """Folder of the bundled model, `REFERENCE_MODEL`."""
    return _PACKAGE / "reference"


def neutral_text_path() -> Path:
    """File of neutral reference sentences, one a line."""
    return _PACKAGE / "data" / "neutral.txt"


def unrelated_prompts_path() -> Path:
    """File of prompts that have nothing to do with one another, one a line."""
    return _PACKAGE / "data" / "unrelated_prompts.txt"


def architectures_path() -> Path:
    """File of the architectures that were tried, written by `scripts/architecture_matrix.py`."""
    return _PACKAGE / "data" / "architectures.json"


def expanded(typed: str | Path) -> Path:
    """With the home folder for `~`; the home of nobody stays as it was typed."""
    path = Path(typed)
    with suppress(RuntimeError):
        path = path.expanduser()
    return path


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
