"""Sweeps in processes of their own, and stores compared."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sna_eval.study.sweep import SweepOptions

_TIMEOUT = 240.0


def options_of(checkpoint: Path, own_tasks: Path) -> SweepOptions:
    """Three tasks at three layers: nine units of some forty passes each."""
    return SweepOptions(
        tasks=("own_open", "own_labels", "own_choices"),
        model_args=f"pretrained={checkpoint}",
        include_path=str(own_tasks),
        layers=(0, 1, 2),
        n_neurons=(2, 5),
        multipliers=(1.5, 2.0, 3.0),
        tokens_per_pass=40,
    )


def sweep_into(options: SweepOptions, output: Path) -> None:
    """A sweep in this process, with one thread: threads show in the last bits of sums."""
    import torch
    from lm_eval.tasks import TaskManager

    from sna_eval.study.sweep import Sweep, run_sweep

    manager = TaskManager(include_path=options.include_path, include_defaults=False)
    tasks = dict(manager.load(list(options.tasks))["tasks"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run_sweep(Sweep(options, tasks=tasks), output, quiet=True)
    finally:
        torch.set_num_threads(threads)


def start(options: SweepOptions, output: Path) -> BaseProcess:
    """Starts a sweep in a process of its own, forked from one that has imported everything."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["sna_eval.study.sweep", "sna_eval.harness.lm", "pandas"])
    process = context.Process(target=sweep_into, args=(options, output))
    process.start()
    return process


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def wait_for(condition: Callable[[], Any]) -> None:
    """Waits, looking often: a sweep must be caught in the middle."""
    end = time.monotonic() + _TIMEOUT
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def units_in(output: Path) -> int:
    """Units that a store holds."""
    return len(list((output / "configurations").rglob("layer-*.parquet")))


def content(output: Path) -> dict[str, bytes]:
    """Every file of a store, by its name in it."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }
