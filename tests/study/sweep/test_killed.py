"""A sweep that is killed again and again ends with the bytes of an undisturbed one."""

from __future__ import annotations

import signal
from dataclasses import replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from sna_eval.study.sweep import ScreenOptions
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


SCREEN = ScreenOptions(verify=0.2, at_least=2, sample=0.2, sample_at_least=3)


@pytest.mark.parametrize(
    ("screen", "moments"), [(None, (1, 3, 6)), (SCREEN, (1, 4))], ids=["whole", "screened"]
)
def test_killed_again_and_again(
    checkpoint: Path,
    own_tasks: Path,
    tmp_path: Path,
    screen: ScreenOptions | None,
    moments: tuple[int, ...],
) -> None:
    """A screened task is written once all of its layers are known."""
    options = replace(options_of(checkpoint, own_tasks), screen=screen)
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for units in moments:
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
