"""One writer at a time: two sweeps into one folder would undo each other's work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sna_eval.errors import InputError, writing

NAME = ".lock"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Holds a folder for writing; the lock goes with the process, however it ends.

    Where the system has no such locks (Windows, some network drives) nothing is held.

    **Raises:** `InputError` where another process holds it.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / NAME).open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "output", expected="a folder that no other sweep is writing", got=str(folder),
                hint="wait until it is done, or name another folder",
            ) from error  # fmt: skip
        except OSError:  # locks are not supported here
            pass
        yield
