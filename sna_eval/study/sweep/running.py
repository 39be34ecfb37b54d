"""Runs a sweep into a store: what is there already is kept, the rest is computed.

One writer at a time: two sweeps into one folder would undo each other's work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from sna_eval.errors import InputError, writing
from sna_eval.study.bars import PartsBar
from sna_eval.study.sweep.schemas import Unit, UnitTables
from sna_eval.study.sweep.store import SweepStore
from sna_eval.study.sweep.sweep import Sweep

Executor = Callable[[Sweep, Sequence[Unit]], Iterator[UnitTables]]
"""Computes units, in any order, each exactly once."""


def local_executor(sweep: Sweep, units: Sequence[Unit]) -> Iterator[UnitTables]:
    """Computes units here, task by task, so that a task's baseline runs once for its layers."""
    for task, of_task in groupby(units, key=lambda unit: unit.task):
        yield from sweep.compute(task, [unit.layer for unit in of_task])


def run_sweep(
    sweep: Sweep,
    output: str | Path,
    *,
    executor: Executor = local_executor,
    quiet: bool = False,
) -> SweepStore:
    """Computes the units that the store lacks.

    **Arguments:**

    - `output`: the store's folder; one that was begun by an equal sweep is completed.
    - `executor`: where units are computed.
    - `quiet`: whether to show no progress.

    **Raises:** `InputError` where the folder holds another sweep, or another process writes it.

    !!! example

        ```python
        sweep = Sweep(SweepOptions(tasks=("sna_math_easy",)))
        store = run_sweep(sweep, "sweeps/math")
        table = store.configurations().to_pandas()
        ```
    """
    manifest = sweep.manifest()
    with only_writer(Path(output)):
        return _complete(SweepStore.begin(output, manifest), sweep, executor, quiet=quiet)


def _complete(store: SweepStore, sweep: Sweep, executor: Executor, *, quiet: bool) -> SweepStore:
    pending, sweep.quiet = store.pending(), quiet
    sizes = {unit: sweep.subjects[unit.task].grid.per_layer for unit in store.units}
    done = sum(sizes.values()) - sum(sizes[unit] for unit in pending)
    with PartsBar(sum(sizes.values()), "Sweep", quiet=quiet, done=done, leave=True) as bar:
        sweep.progress = bar.update
        for result in executor(sweep, pending):
            store.write(result)
            done += sizes[result.unit]
            bar.reach(done, f"{result.unit.task}, layer {result.unit.layer}")
    sweep.progress = None
    return store


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
