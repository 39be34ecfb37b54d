"""Generated texts that a large multiplier drove out of the range of numbers.

In half precision an amplified activation may become infinite, and everything behind it no number at
all. Such a text is generated once more by the unmodified model, as an item keeps its baseline when
its amplified score is not finite. A batch decodes until its longest text ends: what overflows after
the end of a text is no part of it, and leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import LogitsProcessor

Ended = Callable[[int, int], bool]
"""Whether the text of this row had ended within its first so many ids, the prompt's among them."""

_NEVER = torch.iinfo(torch.int64).max


class OverflowWatch(LogitsProcessor):
    """Notes rows whose scores are no distribution, and lets decoding go on with uniform ones."""

    def __init__(self) -> None:
        self._widths: torch.Tensor | None = None
        """For each row how many ids it had when it first overflowed, or `_NEVER`."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`input_ids`: `[batch, position]`; `scores`: `[batch, vocabulary]`."""
        rows = overflowed_rows(scores)
        self.note(rows, input_ids.shape[1])
        return torch.where(rows.unsqueeze(1), torch.zeros_like(scores), scores)

    def note(self, rows: torch.Tensor, width: int) -> None:
        """These rows, bool, `[batch]`, overflow at this step; `width`: ids they have by now."""
        widths = torch.where(rows, width, _NEVER)
        self._widths = widths if self._widths is None else torch.minimum(self._widths, widths)

    def items(self, copies: int, ended: Ended | None = None) -> list[bool]:
        """Which prompts overflowed in any of their `copies` rows before these rows had ended."""
        widths: list[int] = [] if self._widths is None else self._widths.tolist()
        rows = [
            width != _NEVER and not (ended is not None and ended(row, width))
            for row, width in enumerate(widths)
        ]
        return [any(rows[start : start + copies]) for start in range(0, len(rows), copies)]


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
