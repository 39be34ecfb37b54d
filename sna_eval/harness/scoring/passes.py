"""The seam between gates and models: what the gate and the scorer know of a model.

`harness.model.hf_passes` runs them in this process. An engine or a server that offers the same
takes its place: plans, gates, decisions, counts, samples and metrics are on this side, and stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from sna_eval.gating import Decision
from sna_eval.harness.scoring.decisions import Baseline
from sna_eval.harness.tasks.items import Item
from sna_eval.intervention import Affine, BranchScore
from sna_eval.plan import TaskPlan


@dataclass(frozen=True, eq=False)
class PlannedItem:
    """An item to be scored, and the plan that says what may happen to it."""

    item: Item
    plan: TaskPlan | None


@dataclass(frozen=True, eq=False)
class Opened:
    """What is to be scored of an item whose gate opened."""

    item: Item
    """As it was asked for, or with examples put before its question."""
    interventions: tuple[Affine, ...]


Decide = Callable[[int, Baseline], "Opened | None"]
"""Told an item's number and what the unmodified model says, says how it goes on; `None`: it does
not. Asked once for each item."""
DecideText = Callable[[torch.Tensor], Decision]
"""From the log-probabilities of a text's first new token, `[vocabulary]`, to its decision."""
Scores = Mapping[int, BranchScore]
"""Of an item's requests, by their number."""
A = TypeVar("A")
Told = Callable[[tuple[Any, ...], A], None]
"""Told of a request's arguments and its answer as soon as that is known, in any order."""


def tell_nobody(arguments: tuple[Any, ...], answer: Any) -> None:
    """Whoever waits for all answers need not be told of each."""


@dataclass(frozen=True)
class Generated:
    """A gated text."""

    text: str
    decision: Decision | None = None
    """`None` where a closed gate had nothing to decide on."""
    overflowed: bool = False
    """Whether the amplified text was no text, so that the unmodified model's stands."""
    changed: bool = False
    """Whether it may be another than the unmodified model's."""
    baseline: str | None = None
    """The unmodified model's text, where it was generated beside this one."""


class ScorePasses(Protocol):
    """Log-likelihoods of the continuations of items."""

    def scores(
        self, asked: Sequence[PlannedItem], decide: Decide, *, quiet: bool = False
    ) -> Iterator[tuple[int, Scores]]:
        """Runs every item unmodified, asks how it goes on, and does that.

        Yields each item's number, in any order, with its amplified scores; these are empty where it
        did not go on.
        """
        ...


class RollingPasses(Protocol):
    """Log-likelihoods of whole texts."""

    def rolling(
        self, requests: Sequence[Any], interventions: tuple[Affine, ...] = (), *, quiet: bool
    ) -> list[float]:
        """Of each request's text, in order; unmodified without interventions."""
        ...


class TextPasses(Protocol):
    """Generated texts."""

    def texts(
        self, requests: Sequence[Any], *, quiet: bool, told: Told[Generated] = tell_nobody
    ) -> list[str]:
        """The unmodified model's."""
        ...

    def gated_texts(
        self,
        requests: Sequence[Any],
        plan: TaskPlan,
        decide: DecideText,
        *,
        quiet: bool,
        told: Told[Generated] = tell_nobody,
    ) -> list[Generated]:
        """Those of one task's requests under its plan, in order."""
        ...


class Passes(ScorePasses, RollingPasses, TextPasses, Protocol):
    """A model, as far as an evaluation goes."""
