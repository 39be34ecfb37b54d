"""Which continuations of one context share a row, and how long a row may become for it.

A shared row reads the context once. But attention's memory grows with the square of a row's length,
and every token of a continuation takes a distribution over the vocabulary. So the continuations in
a row have no more tokens between them than the longest of them has on its own, context included.
A row is then at most twice as long as one of its continuations needs anyway, and its distributions
are no more than a pass that keeps those of all positions has for that one alone.
"""

from __future__ import annotations

from collections.abc import Sequence

ALWAYS = 128
"""Tokens of continuations that a row may hold however short its context is."""


def shared_rows(context: int, continuations: Sequence[int], *, packs: bool) -> list[list[int]]:
    """Groups the continuations of one context into rows, in order.

    **Arguments:**

    - `context`: tokens in the context.
    - `continuations`: tokens in each continuation, at least one; its last token is never read.
    - `packs`: whether several continuations of more than one token may share a row.

    **Returns:** for every row the numbers of its continuations, those of one token first.
    """
    long = [number for number, tokens in enumerate(continuations) if tokens > 1]
    room = max(ALWAYS, context + max(continuations) - 1) if packs else 0
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
