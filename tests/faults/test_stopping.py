"""A sweep stopped by Ctrl-C or SIGTERM: what is done is kept, one line says how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sna_eval.study.sweep import SweepStore

TASKS = ("sna_math_easy", "sna_math_medium")


def sweep(output: Path) -> list[str]:
    return [
        sys.executable, "-m", "sna_eval.cli", "sweep", "--tasks", ",".join(TASKS),
        "--layers", "0-7", "--top_k", "3,5,8,10,15", "--multipliers", "1.5,2,2.5,3",
        "--limit", "40",
        "--output", str(output),
    ]  # fmt: skip


def _heed_ctrl_c() -> None:
    """Whoever is started in the background ignores it, and hands that down."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _unmeasured() -> dict[str, str]:
    """A signal that meets coverage's tracer in the middle leaves its lock behind, for ever."""
    return {name: one for name, one in os.environ.items() if not name.startswith("COVERAGE_")}


def units(output: Path) -> int:
    return len(list((output / "configurations").rglob("layer-*.parquet")))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_and_taken_up(number: signal.Signals, status: int, tmp_path: Path) -> None:
    output = tmp_path / "store"
    command = sweep(output)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_ctrl_c, env=_unmeasured()
    ) as process:
        try:
            end = time.monotonic() + 240
            while not units(output) and process.poll() is None:
                assert time.monotonic() < end
                time.sleep(0.01)
            os.kill(process.pid, number)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()  # one that hangs must not hang the tests
    assert process.returncode == status, errors
    line = errors.strip().splitlines()[-1]
    assert line == (
        f"sna-eval: stopped; what is done is in {output}, and the same command goes on there"
    )
    assert "Traceback" not in errors
    store = SweepStore.load(output)
    left = len(store.pending())
    assert 0 < left < len(store.units)
    assert not list(output.rglob("*.part"))


@pytest.mark.slow
def test_goes_on_where_it_was(tmp_path: Path) -> None:
    output = tmp_path / "store"
    test_stopped_and_taken_up(signal.SIGTERM, 143, tmp_path)
    done = {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}
    subprocess.run(sweep(output), check=True, capture_output=True)
    assert SweepStore.load(output).pending() == []
    assert {path: path.stat().st_mtime_ns for path in done} == done  # nothing was done twice
