"""Bars of the harness, by themselves or beside the bar of longer work.

Work that evaluates many times counts evaluations. lm_eval's own bars, several an evaluation, would
bury that one, so they are not shown there; ours are, below it, and leave no line.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from contextvars import ContextVar
from typing import Any, TextIO

from tqdm import tqdm

_TERMINAL: ContextVar[TextIO | None] = ContextVar("_TERMINAL", default=None)
"""Where our bars go while lm_eval's are not shown."""


@contextmanager
def only_ours(*, quiet: bool = False) -> Iterator[None]:
    """Of the bars of an evaluation in the body ours alone are shown; none if `quiet`."""
    hidden = io.StringIO()
    before = _TERMINAL.set(hidden if quiet else sys.stderr)
    try:
        with redirect_stderr(hidden):
            yield
    finally:
        _TERMINAL.reset(before)


def scoring_bar(total: int, *, quiet: bool) -> tqdm[Any]:
    """Counts items that are scored."""
    stream = _TERMINAL.get()
    if stream is None:
        return tqdm(total=total, desc="Scoring items", disable=quiet)
    return _beside(total, "Scoring items", stream)


def writing_bar(total: int) -> tqdm[Any]:
    """Counts texts that are written, where lm_eval's own bar does not."""
    stream = _TERMINAL.get()
    if stream is None:
        return tqdm(total=total, disable=True)
    return _beside(total, "Writing texts", stream)


def _beside(total: int, what: str, stream: TextIO) -> tqdm[Any]:
    return tqdm(total=total, desc=what, file=stream, leave=False, disable=None)
