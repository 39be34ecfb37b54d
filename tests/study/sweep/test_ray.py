"""A real local Ray cluster of two workers, one of which is killed while it computes.

The whole sweep by workers that load model and tasks is slow; by default the cluster, the kill and
the executor are real and the units light.
"""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.study import ray_cluster
from sna_eval.study.sweep import (
    RayExecutor,
    ScreenOptions,
    Sweep,
    SweepOptions,
    Unit,
    ray_executor,
    run_sweep,
)
from tests.study.ray_workers import busy_workers
from tests.study.sweep.processes import content, kill, options_of, sweep_into, units_in


def test_units_of_a_killed_worker_are_sent_again(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor's part, with units that cost nothing; one kills its worker the first time."""

    def light(
        options: SweepOptions, units: list[str], threads: int, expected: str
    ) -> list[tuple[str, int]]:
        assert (options.tokens_per_pass, expected) == (7, "00"), "as the starting process has it"
        (unit,) = units
        marker = tmp_path / unit
        if unit == "b" and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [(unit, threads)]

    monkeypatch.setattr(ray_executor, "compute_units", light)
    sweep: Any = SimpleNamespace(
        from_options=True, options=SweepOptions(tasks=("t",)), passes=SimpleNamespace(tokens=7),
        manifest=lambda: {"plan_fingerprint": "00"},
    )  # fmt: skip
    units: Any = ["a", "b", "c"]
    found: Any = list(RayExecutor()(sweep, units))
    assert sorted(found) == [("a", 1), ("b", 1), ("c", 1)]
    assert (tmp_path / "b").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds workers in /proc")
def test_a_killed_workers_units_run_again(
    cluster: Any, checkpoint: Path, own_tasks: Path, tmp_path: Path
) -> None:
    options = options_of(checkpoint, own_tasks)
    killed: list[int] = []

    def killing(sweep: Sweep, units: Any) -> Iterator[Any]:
        for result in RayExecutor()(sweep, units):
            yield result
            busy = [] if killed else list(busy_workers("compute_unit"))
            for worker in busy[:1]:
                kill(worker)
                killed.append(worker)

    run_sweep(Sweep(options), tmp_path / "ray", executor=killing, quiet=True)
    assert killed
    assert killed[0] not in busy_workers("compute_unit")
    assert units_in(tmp_path / "ray") == 9
    sweep_into(options, tmp_path / "local")
    assert content(tmp_path / "ray") == content(tmp_path / "local")


@pytest.mark.slow
def test_a_screened_sweep_by_workers(
    cluster: Any, checkpoint: Path, own_tasks: Path, tmp_path: Path
) -> None:
    """The whole of it, by workers that load model and tasks: the same bytes as in one process."""
    screen = ScreenOptions(verify=0.2, at_least=2, sample=0.2, sample_at_least=3)
    options = replace(options_of(checkpoint, own_tasks), screen=screen)
    run_sweep(Sweep(options), tmp_path / "ray", executor=RayExecutor(), quiet=True)
    sweep_into(options, tmp_path / "local")
    assert units_in(tmp_path / "ray") == 9
    assert content(tmp_path / "ray") == content(tmp_path / "local")


def test_workers_need_options(checkpoint: Path, own_tasks: Path, lm: Any) -> None:
    sweep = Sweep(options_of(checkpoint, own_tasks), lm=lm)
    with pytest.raises(ValueError, match="workers load a sweep by its options"):
        next(RayExecutor()(sweep, []))


def test_without_ray(checkpoint: Path, own_tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    sweep = Sweep(options_of(checkpoint, own_tasks))
    with pytest.raises(InputError, match="executor: expected `ray` to be installed"):
        next(RayExecutor()(sweep, []))


def test_a_worker_with_another_model_is_refused(checkpoint: Path, own_tasks: Path) -> None:
    """Its units went into the store, under the hash of the model that the sweep was begun with."""
    options = options_of(checkpoint, own_tasks)
    sweep = Sweep(options)
    unit, expected = sweep.units[0], sweep.manifest()["plan_fingerprint"]
    threads = torch.get_num_threads()
    (result,) = ray_executor.compute_units(options, [unit], threads, expected)
    assert result.unit == unit
    with pytest.raises(InputError, match="executor: expected the same model and items on every"):
        ray_executor.compute_units(options, [unit], threads, "another")


@pytest.mark.parametrize("screened", [False, True])
def test_a_screened_task_is_sent_out_whole(
    checkpoint: Path, own_tasks: Path, screened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of its configurations are measured depends on all of its layers."""
    options = replace(
        options_of(checkpoint, own_tasks), screen=ScreenOptions() if screened else None
    )
    sent: list[list[Unit]] = []
    ray: Any = SimpleNamespace(
        remote=lambda **_: lambda compute: SimpleNamespace(remote=lambda _, units, *more: units),
        wait=lambda waiting, num_returns: (waiting[:1], waiting[1:]),
        get=lambda units: sent.append(units) or units,
        is_initialized=lambda: True,
        nodes=list,
    )
    monkeypatch.setattr(ray_cluster, "ray_module", lambda: ray)
    sweep = Sweep(options)
    assert list(RayExecutor()(sweep, sweep.units)) == sweep.units
    sizes = [len(units) for units in sent]
    assert sizes == ([3, 3, 3] if screened else [1] * 9)
