"""A command at its terminal: stopped, waited for, or left by whoever read its output."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TextIO

from tqdm import tqdm


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


_TICK = 0.5
"""Seconds."""


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Shows what is waited for and for how long; only on a terminal, and gone with the body."""
    done = threading.Event()
    # tqdm shows nothing where nobody looks if it is asked with `None`
    with tqdm(desc=what, bar_format="{desc}: {elapsed}", leave=False, disable=None) as clock:

        def tick() -> None:
            while not done.wait(_TICK):
                clock.refresh()

        ticking = threading.Thread(target=tick, daemon=True)
        ticking.start()
        try:
            yield
        finally:
            done.set()
            ticking.join()


class _Stopped(KeyboardInterrupt):
    """SIGTERM, raised where SIGINT would raise `KeyboardInterrupt`."""


@contextmanager
def resumable(how: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the body with one line and the shell's usual status.

    **Arguments:**

    - `how`: how to go on later; printed.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as error:
        print(f"sna-eval: stopped; {how}", file=sys.stderr)
        number = signal.SIGTERM if isinstance(error, _Stopped) else signal.SIGINT
        raise SystemExit(128 + number) from None
    finally:
        signal.signal(signal.SIGTERM, previous)
