"""Where units are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from sna_eval.study.sweep.schemas import Unit, UnitTables
from sna_eval.study.sweep.sweep import Sweep

Executor = Callable[[Sweep, Sequence[Unit]], Iterator[UnitTables]]
"""Computes units, in any order, each exactly once."""


def local_executor(sweep: Sweep, units: Sequence[Unit]) -> Iterator[UnitTables]:
    """Computes units here, task by task, so that a task's baseline runs once for its layers."""
    for task, own in groupby(units, key=lambda unit: unit.task):
        yield from sweep.compute(task, [unit.layer for unit in own])
