"""A command whose output nobody reads any more: `sna-eval compare A B | head -3`."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


@contextmanager
def ending_with_its_reader() -> Iterator[None]:
    """Ends the body as the shell's own commands end once their reader has: at once and silently,
    with the status of a process that SIGPIPE ended.

    Python ignores that signal, since it may come from any connection; what a broken one of those
    raises in the body passes through.
    """
    try:
        try:
            yield
        finally:  # what is still held back would fail after the last line of Python
            for stream in _printed_to():
                stream.flush()
    except BrokenPipeError:
        deserted = [stream for stream in _printed_to() if _has_no_reader(stream)]
        if not deserted:
            raise
        for stream in deserted:
            _point_nowhere(stream)
        raise SystemExit(128 + signal.SIGPIPE) from None


def _printed_to() -> list[TextIO]:
    """Both streams; one that the shell closed (`>&-`) is none."""
    return [stream for stream in (sys.stdout, sys.stderr) if stream is not None]


def _has_no_reader(stream: TextIO) -> bool:
    with suppress(OSError, ValueError):  # no file at all, as under a notebook
        watched = select.poll()
        watched.register(stream.fileno(), select.POLLERR)
        return any(events & select.POLLERR for _, events in watched.poll(0))
    return False


def _point_nowhere(stream: TextIO) -> None:
    """What is held back for the stream goes where Python's last flush of it cannot fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
