"""Commands whose reader goes away: `sna-eval ... | head`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sna_eval.cli.terminal import ending_with_its_reader

RUN = [sys.executable, "-m", "sna_eval.cli"]
SIGPIPE = 141


def piped(arguments: list[str], *, unbuffered: bool, both: bool = False) -> tuple[int, str]:
    """Exit status and standard error of a command whose reader has gone before it prints."""
    reader, writer = os.pipe()
    os.close(reader)
    flags = {**os.environ, "PYTHONUNBUFFERED": "1" if unbuffered else ""}
    try:
        done = subprocess.run(
            [*RUN, *arguments], stdout=writer, stderr=writer if both else subprocess.PIPE,
            env=flags, text=True, timeout=300,
        )  # fmt: skip
    finally:
        os.close(writer)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize("unbuffered", [True, False])
@pytest.mark.parametrize("arguments", [["tasks-path"], ["architectures"]])
def test_the_command_ends_without_a_word(arguments: list[str], unbuffered: bool) -> None:
    assert piped(arguments, unbuffered=unbuffered) == (SIGPIPE, "")


def test_help_does_too() -> None:
    """The argparse of newer Pythons itself forgives a print that failed."""
    assert piped(["--help"], unbuffered=True) in ((0, ""), (SIGPIPE, ""))
    assert piped(["--help"], unbuffered=False) == (SIGPIPE, "")


def test_comparisons_do_too(shared_data: Path) -> None:
    file = str(shared_data / "leaderboard" / "pythia-70m-step143000-0shot.json")
    assert piped(["compare", file, file], unbuffered=False) == (SIGPIPE, "")


def test_errors_have_no_reader_either() -> None:
    assert piped(["compare", "nothing"], unbuffered=True, both=True)[0] == SIGPIPE


def test_another_broken_connection_is_not_hidden() -> None:
    with pytest.raises(BrokenPipeError, match="of a server"), ending_with_its_reader():
        raise BrokenPipeError("of a server")


def test_a_closed_output_is_no_reader_that_left() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m sna_eval.cli tasks-path >&-"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
