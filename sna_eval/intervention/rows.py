"""Rows of a forward pass: a context once, its continuations after it.

A row holds one context and one or more continuations (branches) of it. The last token of a branch
is only predicted, never read, so one-token branches add nothing to the row. Two branches of
several tokens each may share a row when each attends to the context and to itself alone, with
positions restarting after the context; `Batch` builds that mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from sna_eval.intervention.decoder import text_config

Tokens = tuple[int, ...]
ROOM = 128
"""Tokens of continuations that a row may hold however short its context is."""


@dataclass(frozen=True, slots=True)
class Row:
    """One context and its continuations."""

    context: Tokens
    """At least one token."""
    branches: tuple[Tokens, ...]
    """Continuations, each of at least one token."""

    def __post_init__(self) -> None:
        assert self.context, "a row needs a context"
        assert self.branches, "a row needs a continuation"
        assert all(self.branches), "a continuation needs a token"

    def __len__(self) -> int:
        """How many tokens the model reads."""
        return len(self.context) + sum(len(branch) - 1 for branch in self.branches)

    @property
    def tokens(self) -> Tokens:
        """What the model reads: the context, then every branch without its last token."""
        return self.context + tuple(token for branch in self.branches for token in branch[:-1])

    @property
    def packed(self) -> bool:
        """Whether branches must be kept from seeing each other."""
        return sum(len(branch) > 1 for branch in self.branches) > 1

    @property
    def segments(self) -> tuple[int, ...]:
        """Branch number of every token, 0 for the context: `[position]`."""
        branches = [number for number, branch in enumerate(self.branches, 1) for _ in branch[:-1]]
        return (0,) * len(self.context) + tuple(branches)

    @property
    def positions(self) -> tuple[int, ...]:
        """Position id of every token: branches restart after the context."""
        start = len(self.context)
        places = [start + offset for branch in self.branches for offset in range(len(branch) - 1)]
        return tuple(range(start)) + tuple(places)

    def slots(self) -> list[list[int]]:
        """For each branch the positions whose logits predict its tokens."""
        first = len(self.context) - 1
        slots, start = [], len(self.context)
        for branch in self.branches:
            slots.append([first, *range(start, start + len(branch) - 1)])
            start += len(branch) - 1
        return slots


class Batch:
    """Rows padded to one length, with the positions to be scored.

    **Arguments:**

    - `skip`: tokens at the beginning that all rows have in common and that are not read again,
        because a cache holds their keys and values; fewer than any row's context.
    """

    def __init__(self, rows: Sequence[Row], device: torch.device, *, skip: int = 0) -> None:
        assert all(len(row.context) > skip for row in rows), "a row must keep a context token"
        self.rows = tuple(rows)
        self.device = device
        self.skip = skip
        self.width = max(map(len, self.rows)) - skip
        self.input_ids = self._pad([row.tokens[skip:] for row in self.rows])
        """`[batch, position]`, padded on the right, where no real token looks."""
        self._lay_out_slots()

    def _pad(self, values: Sequence[Sequence[int]], fill: int = 0) -> torch.Tensor:
        return right_padded(values, fill).to(self.device)

    def _lay_out_slots(self) -> None:
        """Scored positions, each once, and which of them each branch reads."""
        where: list[tuple[int, int]] = []
        reads: list[int] = []
        targets: list[int] = []
        self.branch_lengths: list[int] = []
        self.first_slots: list[int] = []
        for number, row in enumerate(self.rows):
            slot_of: dict[int, int] = {}
            for branch, slots in zip(row.branches, row.slots(), strict=True):
                for position in (slot - self.skip for slot in slots):
                    if position not in slot_of:
                        slot_of[position] = len(where)
                        where.append((number, position))
                    reads.append(slot_of[position])
                targets.extend(branch)
                self.branch_lengths.append(len(branch))
            self.first_slots.append(slot_of[len(row.context) - 1 - self.skip])
        self.slot_rows, self.slot_positions = (
            torch.tensor(column, device=self.device) for column in zip(*where, strict=True)
        )
        self.reads = torch.tensor(reads, device=self.device)
        self.targets = torch.tensor(targets, device=self.device)

    @property
    def packed(self) -> bool:
        return any(row.packed for row in self.rows)

    @cached_property
    def position_ids(self) -> torch.Tensor:
        """`[batch, position]`; padding repeats position 0."""
        return self._pad([row.positions[self.skip :] for row in self.rows])

    @property
    def last_context(self) -> torch.Tensor:
        """Where each row's context ends, `[batch, 1]`."""
        ends = [len(row.context) - 1 - self.skip for row in self.rows]
        return torch.tensor(ends, device=self.device).unsqueeze(1)

    def visible(self, window: int | None = None) -> torch.Tensor:
        """What each position may attend to: bool, `[batch, 1, position, skip + position]`.

        **Arguments:**

        - `window`: sliding window in tokens, `None` for full attention.
        """
        padding = -1
        segments = self._pad([row.segments for row in self.rows], padding)
        positions = self._pad([row.positions for row in self.rows])
        query, key = segments[:, self.skip :].unsqueeze(2), segments.unsqueeze(1)
        ahead = positions[:, self.skip :].unsqueeze(2) - positions.unsqueeze(1)
        seen = ((key == 0) | (key == query)) & (ahead >= 0)
        if window is not None:
            seen &= ahead < window
        itself = torch.eye(segments.shape[1], dtype=torch.bool, device=self.device)
        # padding sees itself, so that no softmax is empty
        return (seen | itself[self.skip :]).unsqueeze(1)


def right_padded(values: Sequence[Sequence[int]], fill: int = 0) -> torch.Tensor:
    """Whole numbers as one table, `[row, position]`, the shorter rows filled up on the right.

    Token ids that are padded so need no attention mask: no real token of a causal model sees them.
    """
    padded = torch.full((len(values), max(map(len, values))), fill, dtype=torch.long)
    for number, row in enumerate(values):
        padded[number, : len(row)] = torch.tensor(row, dtype=torch.long)
    return padded


def shared_rows(context: int, continuations: Sequence[int], *, packs: bool) -> list[list[int]]:
    """Groups the continuations of one context into rows, in order.

    A shared row reads the context once. But attention's memory grows with the square of a row's
    length, and every token of a continuation takes a distribution over the vocabulary. So the
    continuations in a row have no more tokens between them than the longest of them has by itself,
    context included. A row is then at most twice as long as one of its continuations needs anyway,
    and its distributions are no more than a pass that keeps those of all positions has for that
    one.

    **Arguments:**

    - `context`: tokens in the context.
    - `continuations`: tokens in each continuation, at least one; its last token is never read.
    - `packs`: whether several continuations of more than one token may share a row.

    **Returns:** for every row the numbers of its continuations, those of one token first.
    """
    long = [number for number, tokens in enumerate(continuations) if tokens > 1]
    room = max(ROOM, context + max(continuations) - 1) if packs else 0
    rows = [[number for number, tokens in enumerate(continuations) if tokens == 1]]
    held = 0
    for number in long:
        read = continuations[number] - 1
        if held and held + read > room:
            rows.append([])
            held = 0
        rows[-1].append(number)
        held += read
    return rows


def trial_tokens(model: nn.Module, count: int) -> Tokens:
    """Random tokens of a model's vocabulary, the same at every call."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(1, int(text_config(model).vocab_size), (count,), generator=generator)
    return tuple(int(token) for token in drawn)


def trial_rows(model: nn.Module) -> list[Row]:
    """Two rows of different length, one with a continuation of two tokens."""
    tokens = trial_tokens(model, 16)
    return [Row(tokens[:8], (tokens[8:10],)), Row(tokens[10:15], (tokens[15:],))]
