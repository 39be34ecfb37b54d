"""How long a command says nothing on its terminal: without a moving bar it looks as if it hung.

    python scripts/silences.py [--most 5] COMMAND ...

Runs the command under a terminal of its own, so that bars move as they do for a user, and lists
silences of a second and more: by the processor time that the command took in them, which other work
on the machine leaves as it is, by the clock, and what stood before and after. Ends with the
command's status, or with 1 after a silence of more than `--most` seconds of processor time.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

_AT_LEAST = 1.0
"""Seconds of a silence that is worth a line."""
_LOOK_EVERY = 0.2
"""Seconds; processor time is only known while a process lives."""
_CONTROLS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Silence:
    """A stretch without output."""

    processor: float
    """Seconds that the command and its children computed."""
    clock: float
    after: str
    """The last line before it."""
    then: str
    """The line that ended it."""


def watch(command: Sequence[str], columns: int = 120) -> tuple[int, list[Silence]]:
    """Runs a command under a terminal; its status, and its silences in the order they came."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, columns))  # a bar in a terminal without columns is empty
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    silences, tail = list[Silence](), ""
    used, began, before = 0.0, time.perf_counter(), 0.0
    while True:
        used = max(used, _processor_seconds(process.pid))
        ready, _, _ = select.select([ours], [], [], _LOOK_EVERY)
        if not ready:
            continue
        text = _read(ours)
        if text is None or text.strip():
            now = time.perf_counter()
            lines = _last_line(tail), _last_line(text or "")
            silences.append(Silence(used - before, now - began, *lines))
            began, before = now, used
        if text is None:
            os.close(ours)
            return process.wait(), silences
        tail = (tail + text)[-4000:]


def _read(terminal: int) -> str | None:
    """What was written; `None` once nobody holds the other end."""
    try:
        return os.read(terminal, 1 << 16).decode(errors="replace") or None
    except OSError:  # Linux says so in this way
        return None


def _processor_seconds(pid: int) -> float:
    """Of a process and its children, those that ended among them."""
    try:
        parent = psutil.Process(pid)
        every = [parent, *parent.children(recursive=True)]
        return sum(sum(one.cpu_times()[:4]) for one in every)
    except psutil.Error:
        return 0.0


def _last_line(text: str) -> str:
    lines = [_CONTROLS.sub("", line).strip() for line in re.split(r"[\r\n]", text)]
    return next((line for line in reversed(lines) if line), "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--most", type=float, default=5.0, help="seconds of processor time")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    status, silences = watch(args.command)
    longest = max((silence.processor for silence in silences), default=0.0)
    for silence in silences:
        if max(silence.processor, silence.clock) >= _AT_LEAST:
            print(f"{silence.processor:6.1f} s ({silence.clock:.1f} by the clock)")
            print(f"       after: {silence.after[:90]}\n       then:  {silence.then[:90]}")
    print(f"longest: {longest:.1f} s of processor time; status {status}")
    return status or int(longest > args.most)


if __name__ == "__main__":
    sys.exit(main())
