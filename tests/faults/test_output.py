"""Output that cannot be written: one line, status 2, and what was there before still there."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sna_eval.cli import main
from sna_eval.errors import InputError, reading, writing
from sna_eval.plan import load_plan, save_plan
from sna_eval.study.sweep.running import only_writer
from sna_eval.study.sweep.schemas import Unit
from sna_eval.study.sweep.store import SweepStore
from tests.study.sweep.test_store import MANIFEST, filled

IN_USE = """
import sys
from sna_eval.study.sweep.running import only_writer
with only_writer(__import__("pathlib").Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_plan_on_a_full_disk() -> None:
    with pytest.raises(InputError, match=r"output: expected a path.*No space"):
        save_plan(load_plan("sna-reference"), "/dev/full")


def test_a_plan_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="output: expected a path that can be written"):
        save_plan(load_plan("sna-reference"), tmp_path / "file" / "plan.yaml")
    with pytest.raises(InputError, match="output: expected a path that can be written"):
        save_plan(load_plan("sna-reference"), tmp_path / "none" / "plan.yaml")


def test_a_store_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="output: expected a path that can be written"):
        SweepStore.begin(tmp_path / "file" / "store", MANIFEST)


def test_a_disk_that_fills_up_during_a_sweep(tmp_path: Path) -> None:
    """Written units stay, the unit that did not fit leaves nothing behind, and is done later."""
    store = SweepStore.begin(tmp_path / "s", MANIFEST)
    store.write(filled(Unit("a", 0)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))  # bytes in a file
    try:
        with pytest.raises(InputError, match=r"output: expected a path.*layer-002\.parquet"):
            store.write(filled(Unit("b/c", 2)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "s").rglob("*.part"))  # the next run would clear them away
    again = SweepStore.begin(tmp_path / "s", MANIFEST)
    assert again.pending() == [Unit("b/c", 2), Unit("b/c", 5)]
    assert again.configurations().num_rows == 1
    assert not list((tmp_path / "s").rglob("*.part"))
    again.write(filled(Unit("b/c", 2)))
    assert again.pending() == [Unit("b/c", 5)]


def test_two_sweeps_into_one_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", IN_USE, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(InputError, match="output: expected a folder that no other sweep is"),
            only_writer(tmp_path),
        ):
            pass
        other.kill()
        other.wait()
        with only_writer(tmp_path):  # the lock went with its process
            pass


def test_a_command_says_it_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    plan = tmp_path / "plan.yaml"
    save_plan(load_plan("sna-reference"), plan)
    target = str(tmp_path / "file" / "out.yaml")
    arguments = ["--plan", str(plan), "--tasks", "sna_math_easy", "--output", target]
    assert main(["identify", *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("sna-eval: error: output: expected a path that can be written")


def test_reasons_are_kept() -> None:
    with (
        pytest.raises(InputError, match=r"a: expected b, got 'c'; d \(KeyError: 'e'\)"),
        reading("a", expected="b", got="c", hint="d"),
    ):
        raise KeyError("e")
    with pytest.raises(InputError, match="x: expected y"), reading("a", expected="b", got="c"):
        raise InputError("x", expected="y", got="z")
    with (
        pytest.raises(InputError, match="output: expected a path that can be written, got 'p'"),
        writing("p"),
    ):
        raise OSError(28, os.strerror(28))
