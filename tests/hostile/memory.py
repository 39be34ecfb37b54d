"""How a loader ends on a file, and how much memory it took, measured in a process of its own."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import resource
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from sna_eval.errors import InputError
from tests.hostile.fuzz import at_most
from tests.hostile.loaders import LOADERS

MIB = 2**20
_HARD_LIMIT = 12 * 2**30  # bytes of address space: a loader that runs wild ends itself alone
_PROCESSES = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Ending:
    """What came of a file."""

    said: str
    """The one line; empty where the file was read."""
    grown: float
    """MiB at the peak beyond what the process held before."""


def load_apart(name: str, folder: Path, *, seconds: int) -> Ending:
    """Runs a loader on a folder.

    **Arguments:**

    - `seconds`: guard against hangs.
    """
    _PROCESSES.set_forkserver_preload([__name__])
    here, there = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_run, args=(name, folder, seconds, there))
    process.start()
    there.close()
    try:
        ending: Ending | str = here.recv()
    except EOFError:
        ending = "killed"
    process.join()
    assert isinstance(ending, Ending), ending
    return ending


def _run(name: str, folder: Path, seconds: int, answer: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_HARD_LIMIT, _HARD_LIMIT))
    before = _peak()
    try:
        with at_most(seconds), contextlib.redirect_stdout(io.StringIO()):
            said = _said(lambda: LOADERS[name].load(folder))
        answer.send(Ending(said, _peak() - before))
    except BaseException as error:  # whatever else it is, the test shows it
        answer.send(f"{type(error).__name__}: {error}"[:2000])


def _said(load: Callable[[], object]) -> str:
    try:
        load()
    except InputError as refused:
        return str(refused)
    return ""


def _peak() -> float:
    """MiB; a forked process begins with what it shares with its parent."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
