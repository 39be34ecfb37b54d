"""Which rows travel together: groups of like length, whose configurations fill a pass.

The layout depends on the rows and the grid alone, never on what is left to do, so that a sweep that
is stopped and resumed computes the same numbers to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from sna_eval.intervention import Batch, Row
from sna_eval.measuring.items import ItemRow

TOKENS_PER_PASS = {"cpu": 1536}
"""Tokens in one pass by kind of device: on a CPU few enough for its caches."""
TOKENS_ON_ACCELERATOR = 32768
PADDING = 0.1
"""Share of a group's tokens that may be padding."""


@dataclass(eq=False)
class RowGroup:
    """Rows that travel together, and their batches."""

    entries: tuple[ItemRow, ...]
    device: torch.device
    _batches: dict[int, Batch] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(entry.row for entry in self.entries)

    @property
    def width(self) -> int:
        """Tokens of the longest row; the others are padded to it."""
        return max(len(row) for row in self.rows)

    @property
    def requests(self) -> list[int]:
        """Numbers of the requests that the branches answer, in order."""
        return [request for entry in self.entries for request in entry.requests]

    def repeated(self, times: int) -> Batch:
        """The group's rows, `times` over."""
        if times not in self._batches:
            self._batches[times] = Batch(self.rows * times, self.device)
        return self._batches[times]


def group_rows(
    entries: Sequence[ItemRow], *, configurations: int, tokens: int, device: torch.device
) -> list[RowGroup]:
    """Splits rows, longest first, into groups.

    **Arguments:**

    - `configurations`: how many times each row is to be run.
    - `tokens`: what a pass should hold; a row whose configurations exceed it is a group of its own.
    """
    groups, start = [], 0
    while start < len(entries):
        most = max(1, tokens // (len(entries[start].row) * configurations))
        size = _alike([len(entry.row) for entry in entries[start : start + most]])
        groups.append(RowGroup(tuple(entries[start : start + size]), device))
        start += size
    return groups


def _alike(lengths: Sequence[int]) -> int:
    """How many of some rows, longest first, travel together without much padding."""
    padding = 0
    for number, length in enumerate(lengths):
        padding += lengths[0] - length
        if padding > PADDING * lengths[0] * (number + 1):
            return number
    return len(lengths)


def tokens_per_pass(device: torch.device) -> int:
    """How many tokens one pass should hold on a kind of device."""
    return TOKENS_PER_PASS.get(device.type, TOKENS_ON_ACCELERATOR)
