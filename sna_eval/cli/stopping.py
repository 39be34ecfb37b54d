"""Work that can be stopped and taken up again, on a command line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
