"""A sweep that is killed again and again ends with the bytes of an undisturbed one."""

from __future__ import annotations

import signal
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tests.study.sweep.processes import (
    content,
    kill,
    options_of,
    start,
    sweep_into,
    units_in,
    wait_for,
)

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")


def test_killed_three_times(checkpoint: Path, own_tasks: Path, tmp_path: Path) -> None:
    options = options_of(checkpoint, own_tasks)
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for units in (1, 3, 6):
        process = start(options, disturbed)
        wait_for(partial(_has_units_or_ended, disturbed, units, process))
        kill(process.pid or 0)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert units <= units_in(disturbed) < 9
    for output in (disturbed, undisturbed):
        sweep_into(options, output)
        assert units_in(output) == 9
    assert content(disturbed) == content(undisturbed)


def _has_units_or_ended(output: Path, units: int, process: BaseProcess) -> bool:
    return units_in(output) >= units or process.exitcode is not None
