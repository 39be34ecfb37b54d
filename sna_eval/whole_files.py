"""Files that are written whole or not at all, whenever a process is killed."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

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
