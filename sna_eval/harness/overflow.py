"""Generated texts that a large multiplier drove out of the range of numbers.

In half precision an amplified activation may become infinite, and everything behind it no number at
all. Such a text is generated once more by the unmodified model, as an item keeps its baseline when
its amplified score is not finite.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import LogitsProcessor


class OverflowWatch(LogitsProcessor):
    """Notes rows whose scores are no distribution, and lets decoding go on with uniform ones."""

    def __init__(self) -> None:
        self._rows: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores`: `[batch, vocabulary]`."""
        rows = overflowed_rows(scores)
        self._rows = rows if self._rows is None else self._rows | rows
        return torch.where(rows.unsqueeze(1), torch.zeros_like(scores), scores)

    def items(self, copies: int) -> list[bool]:
        """Which prompts overflowed in any of their `copies` rows."""
        return [] if self._rows is None else self._rows.reshape(-1, copies).any(dim=1).tolist()


def overflowed_rows(scores: torch.Tensor) -> torch.Tensor:
    """Rows of `[batch, vocabulary]` that have no softmax: bool, `[batch]`."""
    return ~torch.logsumexp(scores.float(), dim=-1).isfinite()


def replaced_texts(
    output: torch.Tensor,
    items: list[bool],
    again: Callable[[torch.Tensor], torch.Tensor],
    *,
    copies: int,
    pad: int,
) -> torch.Tensor:
    """Generated ids, `[batch * copies, position]`, with those of some items made anew.

    **Arguments:**

    - `again`: generates for the items of these numbers.
    - `pad`: fills up the shorter texts, on the right.
    """
    numbers = [number for number, bad in enumerate(items) if bad]
    fresh = again(torch.tensor(numbers, device=output.device))
    width = max(output.shape[1], fresh.shape[1])
    whole, fresh = (
        torch.nn.functional.pad(ids, (0, width - ids.shape[1]), value=pad)
        for ids in (output, fresh)
    )
    rows = [number * copies + copy for number in numbers for copy in range(copies)]
    return whole.index_copy(0, torch.tensor(rows, device=whole.device), fresh)
