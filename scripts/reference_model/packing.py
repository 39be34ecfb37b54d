"""From documents to rows of tokens: long rows for running text, short rows for short documents.

Long rows (512) are cut from the joined documents. A short row (128) always starts with the start
of a document, holds whole documents only, and has no token before the first: so the model meets
prompts the way an evaluation shows them. Each row has a weight per token: 0 for padding, more
than 1 for review labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONG_ROW = 512
SHORT_ROW = 128
_LOOK_AHEAD = 48


@dataclass(frozen=True)
class Encoded:
    """A document's token ids, and the weight of its last token."""

    ids: list[int]
    last_weight: float = 1.0


@dataclass(frozen=True)
class Rows:
    """Rows of one length."""

    ids: NDArray[np.int32]
    """Token ids, [row, position]."""
    weights: NDArray[np.float32]
    """Weight of each token as a prediction target, [row, position]; the first column is unused."""


def long_rows(documents: Iterable[Encoded], *, length: int, end: int) -> Rows:
    """All documents, each ended by `end`, joined and cut; the last incomplete row is left out."""
    joined = [token for document in documents for token in (*document.ids, end)]
    count = len(joined) // length
    ids = np.asarray(joined[: count * length], dtype=np.int32).reshape(count, length)
    return Rows(ids=ids, weights=np.ones_like(ids, dtype=np.float32))


def short_rows(documents: list[Encoded], *, length: int, end: int) -> Rows:
    """Whole documents packed into rows in about the given order; longer ones are cut at the end."""
    waiting = [Encoded(d.ids[:length], d.last_weight) for d in documents]
    waiting.reverse()
    rows: list[list[Encoded]] = []
    while waiting:
        row, free = [], length
        while (place := _first_that_fits(waiting, free)) is not None:
            document = waiting.pop(place)
            row.append(document)
            free -= len(document.ids) + 1
        rows.append(row)
    ids = np.full((len(rows), length), end, dtype=np.int32)
    weights = np.zeros((len(rows), length), dtype=np.float32)
    for index, row in enumerate(rows):
        _fill(ids[index], weights[index], row)
    return Rows(ids=ids, weights=weights)


def _first_that_fits(waiting: list[Encoded], free: int) -> int | None:
    """Index from the end of `waiting` of the next document of at most `free` tokens."""
    last = len(waiting) - 1
    for index in range(last, max(last - _LOOK_AHEAD, -1), -1):
        if len(waiting[index].ids) <= free:
            return index
    return None


def _fill(ids: NDArray[np.int32], weights: NDArray[np.float32], row: list[Encoded]) -> None:
    """Write a row's documents; each is followed by one end token if there is room."""
    start = 0
    for document in row:
        stop = start + len(document.ids)
        ids[start:stop] = document.ids
        weights[start : stop + 1] = 1.0
        weights[stop - 1] = document.last_weight
        start = stop + 1
