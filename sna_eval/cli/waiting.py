"""A clock on the terminal while something takes seconds that nothing can count."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

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
