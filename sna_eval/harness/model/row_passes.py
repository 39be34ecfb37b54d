"""Scores of items in this process: baseline pass, then a resumed pass over open items.

The baseline pass captures what enters the lowest layer that an item's plan intervenes on. Items
whose gate opens queue up with their captured rows, and go on from that layer in full batches,
together with items of other tasks. Captured rows are kept from an item's first row to its
decision, and for at most one batch of open rows per layer after it. Tasks whose documents begin
with the same tokens run by themselves, from a cache of that beginning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from tqdm import tqdm

from sna_eval.harness.bars import scoring_bar
from sna_eval.harness.scoring.decisions import (
    NOTHING,
    Baseline,
    ScoredRow,
    asks,
    baseline_of,
    kept,
    needs_next_token,
)
from sna_eval.harness.scoring.ledger import Ledger
from sna_eval.harness.scoring.passes import Decide, Opened, PlannedItem, Scores
from sna_eval.harness.tasks.items import Item, item_rows
from sna_eval.intervention import Affine, Assigned, Batch, BranchScore, Engine, Row, RowScore
from sna_eval.intervention.decoder import steady_width
from sna_eval.intervention.rows import Tokens
from sna_eval.intervention.shortcuts import Prefix, fits_window, shared_prefix
from sna_eval.plan import TaskPlan


@dataclass(eq=False, slots=True)
class ItemProgress:
    """What is known so far of an item that is being scored."""

    scored: list[ScoredRow] = field(default_factory=list)
    """Rows of the baseline pass."""
    hidden: list[torch.Tensor | None] = field(default_factory=list)
    amplified: dict[int, BranchScore] = field(default_factory=dict)
    strict: bool = False
    """Whether baseline scores are HFLM's own, and stay so to the bit."""


@dataclass(eq=False, slots=True)
class Work:
    """An item on its way. Many wait while few are being scored, so a waiting one holds little."""

    number: int
    """Among all items."""
    item: Item
    plan: TaskPlan | None
    rows: Sequence[tuple[Row, tuple[int, ...]]]
    layer: int | None
    """Lowest layer that the plan intervenes on; `None` where nothing can open."""
    prefix: Prefix | None = None
    """What all rows of the task begin with, where a cache of it is used."""
    progress: ItemProgress | None = None
    """From the first row's score to the last."""

    @property
    def begun(self) -> ItemProgress:
        if self.progress is None:
            self.progress = ItemProgress()
        return self.progress

    def baseline(self) -> Baseline:
        """What the unmodified model says; all rows are scored, and their scores are let go."""
        scored, self.begun.scored = self.begun.scored, []
        return baseline_of(self.item, scored, as_given=self.begun.strict)

    def finish(self) -> Scores:
        """The amplified scores; nothing of the way to them is kept."""
        amplified = self.begun.amplified
        self.rows, self.progress = (), None
        return dict(enumerate(self.item.with_ties(amplified))) if amplified else {}


@dataclass(frozen=True, eq=False)
class OpenRow:
    """A row whose gate opened, waiting for a batch."""

    owner: Work
    row: Row
    numbers: tuple[int, ...]
    interventions: tuple[Affine, ...]
    hidden: torch.Tensor | None
    """What enters the lowest intervened layer, `[position, d_model]`; `None`: run all blocks."""

    @property
    def layer(self) -> int:
        return min((intervention.layer for intervention in self.interventions), default=0)

    @property
    def queue(self) -> Hashable:
        """Rows of one queue may share a batch: those that resume at one layer, and, behind a
        common beginning, those that have the same interventions on it."""
        prefix = self.owner.prefix
        return (self.layer, self.hidden is None, id(prefix), self.interventions if prefix else ())


@dataclass(eq=False)
class RowPasses:
    """Scores items with one engine."""

    engine: Engine
    batch_size: Callable[[Sequence[Row]], int]
    """Rows per batch, given all rows longest first."""
    max_length: int
    ledger: Ledger
    baseline: Callable[[Item], tuple[BranchScore, ...]] | None = None
    """Baseline scores from elsewhere (`strict=true`); passes then cannot be resumed."""
    _steady: bool = field(default=True, init=False)
    """Whether a row is computed alike in a batch of any width."""

    def scores(
        self, asked: Sequence[PlannedItem], decide: Decide, *, quiet: bool = False
    ) -> Iterator[tuple[int, Scores]]:
        """As `harness.scoring.passes` asks for."""
        works = [self._start(number, item) for number, item in enumerate(asked)]
        # rows go on in batches of another width than they came from
        longest = max((_longest_row(work) for work in works), default=0)
        self._steady = longest <= steady_width(self.engine.model)
        groups = self._groups(works)
        size = self.batch_size([row for group in groups for work in group for row, _ in work.rows])
        with scoring_bar(len(works), quiet=quiet) as bar:
            for group in groups:
                yield from self._score_group(group, decide, size, bar)

    def _groups(self, works: Sequence[Work]) -> list[list[Work]]:
        """Works that run together, longest first: each task with a common beginning by itself."""
        tasks: dict[str, list[Work]] = defaultdict(list)
        for work in works:
            tasks[work.item.task].append(work)
        together: list[Work] = []
        groups = [together]
        for group in tasks.values():
            prefix = self._prefix([row for work in group for row, _ in work.rows])
            for work in group:
                work.prefix = prefix
            if prefix is None:
                together.extend(group)
            else:
                groups.append(group)
        for group in groups:
            group.sort(key=_longest_row, reverse=True)
        return sorted(filter(None, groups), key=lambda group: -_longest_row(group[0]))

    def _prefix(self, rows: Sequence[Row]) -> Prefix | None:
        if self.baseline is not None or not self.engine.abilities.shares_prefix:
            return None
        if not fits_window(self.engine.model, max(map(len, rows))):
            return None
        return shared_prefix(rows)

    def _score_group(
        self, group: Sequence[Work], decide: Decide, size: int, bar: tqdm[Any]
    ) -> Iterator[tuple[int, Scores]]:
        waiting: dict[Hashable, list[OpenRow]] = defaultdict(list)
        for work in self._baselines(group, size):
            opened = self._go_on(work, decide(work.number, work.baseline()))
            if not opened:
                yield work.number, work.finish()
            for open_row in opened:
                queue = waiting[open_row.queue]
                queue.append(open_row)
                if len(queue) >= size:
                    yield from self._amplify(queue)
                    queue.clear()
            bar.update()
        for queue in waiting.values():
            if queue:
                yield from self._amplify(queue)

    def _start(self, number: int, asked: PlannedItem) -> Work:
        plan, layer = asked.plan, None
        rows = self._rows(asked.item)
        if plan is not None and plan.gate.mode != "never":
            layer = min((entry.layer for entry in plan.interventions), default=None)
        return Work(number, asked.item, plan, rows, layer)

    def _rows(self, item: Item) -> list[tuple[Row, tuple[int, ...]]]:
        return item_rows(item, max_length=self.max_length, packs=self.engine.abilities.packs)

    def _baselines(self, works: Sequence[Work], size: int) -> Iterator[Work]:
        """Runs the baseline; yields every item as soon as all its rows are scored."""
        if self.baseline is not None:
            for work in works:
                self._strict_baseline(work, self.baseline)
                yield work
            return
        queue = [(work, number) for work in works for number in range(len(work.rows))]
        for start in range(0, len(queue), size):
            chunk = queue[start : start + size]
            self._baseline_batch(chunk)
            for work, number in chunk:
                if number == len(work.rows) - 1:
                    if not self._steady:
                        self._read_contexts_alone(work)
                    yield work

    def _strict_baseline(
        self, work: Work, baseline: Callable[[Item], tuple[BranchScore, ...]]
    ) -> None:
        begun, given = work.begun, baseline(work.item)
        begun.hidden, begun.strict = [None] * len(work.rows), True
        following = self._following(work)
        for row, numbers in work.rows:
            branches = tuple(given[number] for number in numbers)
            score = RowScore(branches, following.get(row.context, NOTHING))
            begun.scored.append((row, numbers, score))

    def _read_contexts_alone(self, work: Work) -> None:
        """A gate's confidence is of the context: a long answer behind it may change its factors."""
        following = self._following(work)
        if following:
            work.begun.scored = [
                (row, numbers, replace(score, log_probs=following.get(row.context, NOTHING)))
                for row, numbers, score in work.begun.scored
            ]

    def _following(self, work: Work) -> dict[Tokens, torch.Tensor]:
        """What follows the item's contexts, `[vocabulary]` each, where the gate reads it."""
        if work.plan is None or not needs_next_token(work.plan.gate):
            return {}
        given = [row.context for row, numbers in work.rows if asks(work.item, numbers)]
        rows = [Row(context, ((0,),)) for context in dict.fromkeys(given)]
        scores, _ = self.engine.run(Batch(rows, self.engine.device))
        return {row.context: score.log_probs for row, score in zip(rows, scores, strict=True)}

    def _baseline_batch(self, chunk: Sequence[tuple[Work, int]]) -> None:
        rows = [work.rows[number][0] for work, number in chunk]
        capture: set[int] = set()
        if self._steady and self.engine.abilities.resumes:
            capture = {work.layer for work, _ in chunk if work.layer is not None}
        prefix = chunk[0][0].prefix
        batch = Batch(rows, self.engine.device, skip=len(prefix or ()))
        scores, captured = self.engine.run(batch, capture=sorted(capture), prefix=prefix)
        self.ledger.count_baseline(batch)
        for place, ((work, number), score) in enumerate(zip(chunk, scores, strict=True)):
            begun, gate = work.begun, work.plan.gate if work.plan is not None else None
            begun.scored.append((*work.rows[number], kept(score, gate)))
            hidden = None
            if work.layer is not None and work.layer in captured:
                length = len(rows[place]) - batch.skip
                hidden = captured[work.layer][place, :length].clone()
            begun.hidden.append(hidden)

    def _go_on(self, work: Work, opened: Opened | None) -> list[OpenRow]:
        """An item's rows, if they go on."""
        hidden, work.begun.hidden = work.begun.hidden, []
        if opened is None:
            return []
        interventions = opened.interventions
        if opened.item is not work.item:  # other texts: nothing of the baseline pass counts
            work.prefix = None
            rows = self._rows(opened.item)
            return [OpenRow(work, row, numbers, interventions, None) for row, numbers in rows]
        lowest = min(intervention.layer for intervention in interventions)
        return [
            OpenRow(work, row, numbers, interventions, captured if lowest == work.layer else None)
            for (row, numbers), captured in zip(work.rows, hidden, strict=True)
        ]

    def _amplify(self, queue: Sequence[OpenRow]) -> Iterator[tuple[int, Scores]]:
        """Runs the open rows of one queue on, as one batch; yields the items that this ends."""
        resumed = queue[0].hidden is not None
        prefix = queue[0].owner.prefix
        rows = [entry.row for entry in queue]
        batch = Batch(rows, self.engine.device, skip=len(prefix or ()))
        hidden = _stacked([entry.hidden for entry in queue], batch.width) if resumed else None
        assigned = _assigned(queue, batch)
        if assigned:
            scores = self.engine.amplified(batch, assigned, hidden=hidden, prefix=prefix)
        else:  # examples before the question, and nothing inside the model
            scores, _ = self.engine.run(batch)
        self.ledger.count_amplified(batch, queue[0].layer if resumed else None)
        for entry, score in zip(queue, scores, strict=True):
            work = entry.owner
            work.begun.amplified.update(zip(entry.numbers, score.branches, strict=True))
            if len(work.begun.amplified) == len(work.item.requests):
                yield work.number, work.finish()


def _longest_row(work: Work) -> int:
    return max(len(row) for row, _ in work.rows)


def _assigned(queue: Sequence[OpenRow], batch: Batch) -> list[Assigned]:
    """Every distinct intervention with the rows of the batch it acts on.

    One that a plan names twice acts twice, as everywhere else.
    """
    rows: dict[tuple[Affine, int], torch.Tensor] = {}
    for number, entry in enumerate(queue):
        for place, intervention in enumerate(entry.interventions):
            before = entry.interventions[:place].count(intervention)
            chosen = rows.setdefault(
                (intervention, before),
                torch.zeros(len(queue), dtype=torch.bool, device=batch.device),
            )
            chosen[number] = True
    return [Assigned(intervention, chosen) for (intervention, _), chosen in rows.items()]


def _stacked(hidden: Sequence[torch.Tensor | None], width: int) -> torch.Tensor:
    """`[batch, position, d_model]` from rows of different length; padding is zero.

    Streams of more dimensions keep them.
    """
    rows = [row for row in hidden if row is not None]
    stacked = rows[0].new_zeros(len(rows), width, *rows[0].shape[1:])
    for number, row in enumerate(rows):
        stacked[number, : row.shape[0]] = row
    return stacked
