"""An item's way through the passes: waiting, begun, gone on with its gate open."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import torch

from sna_eval.harness.scoring.decisions import Baseline, ScoredRow, baseline_of
from sna_eval.harness.scoring.passes import Scores
from sna_eval.harness.tasks.items import Item
from sna_eval.intervention import Affine, BranchScore, Row
from sna_eval.intervention.prefix import Prefix
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
