"""The clock moves while something takes long, on a terminal alone."""

from __future__ import annotations

import sys
import time

import pytest

from silences import watch
from sna_eval.cli.terminal import waiting

BUSY = """
import time
from sna_eval.cli.terminal import waiting
with waiting("Waiting"):
    time.sleep(2.2)
"""


def test_it_moves_on_a_terminal() -> None:
    status, silences = watch([sys.executable, "-c", BUSY])
    assert status == 0
    assert sum("Waiting: 00:0" in silence.then for silence in silences) >= 2


def test_nothing_is_shown_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    with waiting("Waiting"):
        time.sleep(0.6)
    assert capfd.readouterr() == ("", "")
