"""What interventions are measured on: a task's items, or plain text.

Plain text is scored as lm_eval scores rolling log-likelihoods: every token is predicted once, the
first from the tokenizer's beginning-of-text token, and what is longer than the model's window is
cut into windows that see as much before them as fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sna_eval.errors import InputError
from sna_eval.intervention import Row
from sna_eval.measuring.items import ItemRow, Split, TaskItems, load_items, rows_of

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


@dataclass(frozen=True, eq=False)
class Subject:
    """Rows to be scored, and what the scores stand for."""

    name: str
    rows: tuple[ItemRow, ...]
    """Longest first."""
    items: TaskItems | None = None
    """The task's items; `None` for plain text."""
    text_of: NDArray[np.int64] | None = None
    """For plain text: the number of each request's text, `[request]`."""
    tokens: NDArray[np.int64] | None = None
    """For plain text: tokens that each request predicts, `[request]`."""

    @property
    def n_requests(self) -> int:
        return sum(len(entry.requests) for entry in self.rows)


def task_subject(
    name: str,
    task: Any,
    lm: SNALM,
    *,
    split: Split,
    limit: int | None = None,
    cluster: str | None = None,
) -> Subject:
    """A task's items of one split; see `load_items`."""
    items = load_items(task, lm, split=split, limit=limit, cluster=cluster)
    packs = lm.engine.abilities.packs
    return Subject(name, tuple(rows_of(items, max_length=lm.max_length, packs=packs)), items)


def text_subject(name: str, texts: Sequence[str], lm: SNALM) -> Subject:
    """Plain texts, each on its own.

    **Raises:** `InputError` where there is no text.
    """
    windows = [
        (number, context, continuation)
        for number, text in enumerate(texts)
        for context, continuation in _windows(lm, text)
    ]
    if not windows:
        raise InputError("text", expected="at least one line of text", got="none")
    rows = [
        ItemRow(Row(tuple(context), (tuple(continuation),)), text, (request,))
        for request, (text, context, continuation) in enumerate(windows)
    ]
    return Subject(
        name,
        tuple(sorted(rows, key=lambda entry: -len(entry.row))),
        text_of=np.array([text for text, _, _ in windows]),
        tokens=np.array([len(continuation) for _, _, continuation in windows]),
    )


def _windows(lm: SNALM, text: str) -> list[tuple[list[int], list[int]]]:
    """Contexts and what follows them, by lm_eval's own code."""
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    tokens = lm.tok_encode(text, add_special_tokens=False) if text.strip() else []
    rolling = get_rolling_token_windows(
        token_list=tokens,
        prefix_token=lm.prefix_token_id,
        max_seq_len=lm.max_length,
        context_len=1,
    )
    return [make_disjoint_window(window) for window in rolling]
