"""An item's way through scoring: waiting, begun, gone on with its gate open, answered."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

import torch

from sna_eval.gating import Decision
from sna_eval.harness.scoring.decisions import Baseline, ScoredRow, baseline_of
from sna_eval.harness.tasks.items import Item
from sna_eval.intervention import Affine, BranchScore, Row
from sna_eval.intervention.prefix import Prefix
from sna_eval.plan import TaskPlan

Answer = tuple[float, bool]
"""Log-likelihood, a `Score` where a plan applies, and whether it would be produced greedily."""


@dataclass(eq=False, slots=True)
class Progress:
    """What is known so far of an item that is being scored."""

    scored: list[ScoredRow] = field(default_factory=list)
    """Rows of the baseline pass."""
    hidden: list[torch.Tensor | None] = field(default_factory=list)
    baseline: Baseline | None = None
    """From the last row's score on."""
    amplified: dict[int, BranchScore] = field(default_factory=dict)
    decision: Decision | None = None


@dataclass(eq=False, slots=True)
class Work:
    """An item on its way. Many wait while few are being scored, so a waiting one holds little."""

    item: Item
    plan: TaskPlan | None
    rows: Sequence[tuple[Row, tuple[int, ...]]]
    layer: int | None
    """Lowest layer that the plan intervenes on; `None` where nothing can open."""
    prefix: Prefix | None = None
    """What all rows of the task begin with, where a cache of it is used."""
    progress: Progress | None = None
    """From the first row's score to the last."""
    answers: list[Answer] = field(default_factory=list)

    @property
    def begun(self) -> Progress:
        if self.progress is None:
            self.progress = Progress()
        return self.progress

    @property
    def baseline(self) -> Baseline:
        """What the unmodified model says; all rows are scored."""
        own = self.begun
        if own.baseline is None:
            own.baseline, own.scored = baseline_of(self.item, own.scored), []
        return own.baseline

    def decided(self, decision: Decision) -> None:
        """Keeps the decision, and of the baseline what is asked for after it."""
        self.begun.decision = decision
        self.begun.baseline = replace(self.baseline, next_token=())

    def finish(self, answers: list[Answer]) -> None:
        """Keeps the answers and nothing else of the way to them."""
        self.answers, self.rows, self.progress = answers, (), None


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
