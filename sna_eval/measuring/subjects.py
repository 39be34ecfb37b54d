"""What a few interventions are measured on, a task's items or plain text, and their scores on it.

Plain text is scored as lm_eval scores rolling log-likelihoods: every token is predicted once, the
first from the tokenizer's beginning-of-text token, and what is longer than the model's window is
cut into windows that see as much before them as fits.

The unmodified model runs once for all interventions, and hands on what enters the lowest layer that
each touches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from sna_eval.errors import InputError
from sna_eval.gating import Decision, Gate
from sna_eval.harness.scoring.decisions import kept
from sna_eval.intervention import Affine, Assigned, Batch, Engine, Row, RowScore
from sna_eval.measuring.items import ItemRow, Split, TaskItems, load_items, rows_of
from sna_eval.measuring.passes import RowGroup, group_rows, tokens_per_pass
from sna_eval.measuring.values import items_baseline

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


Floats = NDArray[np.float64]
Together = Sequence[Affine]
"""Interventions that act at once, in this order."""


def log_likelihoods(
    engine: Engine,
    subject: Subject,
    sets: Sequence[Together],
    *,
    tokens: int | None = None,
    quiet: bool = True,
) -> Floats:
    """Log-likelihoods of every request: `[1 + set, request]`, the unmodified model's first.

    **Arguments:**

    - `sets`: interventions on all rows, set by set.
    - `tokens`: what one pass should hold; `None`: as much as suits the device.
    """
    active = [
        [intervention for intervention in together if not intervention.changes_nothing]
        for together in sets
    ]
    tokens = tokens or tokens_per_pass(engine.device)
    groups = group_rows(subject.rows, configurations=1, tokens=tokens, device=engine.device)
    filled = np.empty((1 + len(sets), subject.n_requests))
    total = len(groups) * filled.shape[0]
    with tqdm(total=total, desc=subject.name, unit="pass", disable=quiet, leave=False) as bar:
        for group in groups:
            for number, values in enumerate(_group(engine, group, active)):
                filled[number, group.requests] = values
                bar.update()
    return filled


def _group(engine: Engine, group: RowGroup, sets: Sequence[Together]) -> Iterator[Floats]:
    """Log-likelihoods of a group's requests: the unmodified model's, then set by set."""
    batch = group.repeated(1)
    lowest = {min(intervention.layer for intervention in together) for together in sets if together}
    capture = sorted(lowest) if engine.abilities.resumes else []
    scores, captured = engine.run(batch, capture=capture)
    baseline = _values(scores)
    yield baseline
    for together in sets:
        if together:
            yield _values(amplified_rows(engine, batch, together, captured))
        else:
            yield baseline


def gate_decisions(
    engine: Engine, subject: Subject, gate: Gate, *, quiet: bool = True
) -> tuple[Decision, ...]:
    """What a gate says of each item of a task, from the unmodified model alone: `[item]`."""
    if subject.items is None:
        raise InputError("gate", expected="items of a task", got=subject.name)
    groups = group_rows(
        subject.rows, configurations=1, tokens=tokens_per_pass(engine.device), device=engine.device
    )
    scored = []
    with tqdm(total=len(subject.rows), desc=subject.name, unit="row", disable=quiet) as bar:
        for group in groups:
            scores, _ = engine.run(group.repeated(1))
            scored += [
                (entry, kept(score, gate))
                for entry, score in zip(group.entries, scores, strict=True)
            ]
            bar.update(len(group.rows))
    return items_baseline(subject.items, gate, scored).decisions


def amplified_rows(
    engine: Engine, batch: Batch, together: Together, captured: Mapping[int, torch.Tensor]
) -> list[RowScore]:
    """All rows of a batch with interventions on.

    **Arguments:**

    - `captured`: what enters layers, `[row, position, d_model]`; goes on from there where the
        lowest layer is among them.
    """
    every = torch.ones(len(batch.rows), dtype=torch.bool, device=batch.device)
    assigned = [Assigned(intervention, every) for intervention in together]
    hidden = captured.get(min(intervention.layer for intervention in together))
    return engine.amplified(batch, assigned, hidden=hidden)


def _values(scores: Sequence[RowScore]) -> Floats:
    return np.array([branch.log_likelihood for score in scores for branch in score.branches])
