"""Units on a Ray cluster: they run where there is room, and a lost worker's units run again.

Workers load model and tasks themselves, by the sweep's options, and send tables back
(`study.ray_cluster`). A worker keeps what it loaded from unit to unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch

from sna_eval.study.ray_cluster import RayCluster, check_equal_here, received
from sna_eval.study.sweep.options import SweepOptions
from sna_eval.study.sweep.schemas import Unit, UnitTables
from sna_eval.study.sweep.sweep import Sweep


@dataclass(frozen=True)
class RayExecutor(RayCluster):
    """Computes units on a Ray cluster."""

    def __call__(self, sweep: Sweep, units: Sequence[Unit]) -> Iterator[UnitTables]:
        """Sends the units out and yields their tables as they come back."""
        if not sweep.from_options:
            raise ValueError("workers load a sweep by its options; leave out `lm` and `tasks`")
        with self.connected() as ray:
            yield from self._collected(ray, sweep, units)

    def _collected(self, ray: Any, sweep: Sweep, units: Sequence[Unit]) -> Iterator[UnitTables]:
        remote = self.remote(ray, compute_units)
        threads, expected = torch.get_num_threads(), sweep.manifest()["plan_fingerprint"]
        options = replace(sweep.options, tokens_per_pass=sweep.passes.tokens)
        portions = _portions(units, whole_tasks=options.screen is not None)
        waiting = [remote.remote(options, portion, threads, expected) for portion in portions]
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1)
            yield from received(ray, ready[0])


def _portions(units: Sequence[Unit], *, whole_tasks: bool) -> list[list[Unit]]:
    """What is sent out at once: a unit, or all of a task's where it is computed as a whole."""
    if not whole_tasks:
        return [[unit] for unit in units]
    return [list(of_task) for _, of_task in groupby(units, key=lambda unit: unit.task)]


def compute_units(
    options: SweepOptions, units: Sequence[Unit], threads: int, expected: str
) -> list[UnitTables]:
    """Computes units of one task in a worker process.

    **Arguments:**

    - `threads`: as many as the starting process computes with. How sums are split over threads
        shows in their last bits, and a store must not depend on who computed it.
    - `expected`: fingerprint of the sweep as the starting process has it.

    **Raises:** `InputError` where this machine has another model, or other items.
    """
    torch.set_num_threads(threads)
    kept = _kept(options)
    check_equal_here(kept.fingerprint, expected, what="model and items")
    return list(kept.sweep.compute(units[0].task, [unit.layer for unit in units]))


@dataclass(frozen=True, eq=False)
class _Kept:
    """A worker's model and tasks, kept for its next unit, and what its sweep is."""

    options: SweepOptions
    sweep: Sweep
    fingerprint: str


_LAST: list[_Kept] = []
"""The one that this worker computed with last."""


def _kept(options: SweepOptions) -> _Kept:
    if not _LAST or _LAST[0].options != options:
        _LAST.clear()  # its model goes before the next one is loaded
        sweep = Sweep(options)
        sweep.quiet = True
        _LAST.append(_Kept(options, sweep, str(sweep.manifest()["plan_fingerprint"])))
    return _LAST[0]
