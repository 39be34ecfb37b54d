"""From baseline scores to a decision per item, and to the interventions it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from sna_eval.errors import InputError
from sna_eval.gating import (
    SIGNALS,
    AnswerSignal,
    ChoicesSignal,
    ConfidenceSignal,
    Decision,
    Gate,
    NextTokenSignal,
)
from sna_eval.harness.tasks.items import Item
from sna_eval.intervention import Affine, BranchScore, Row, RowScore
from sna_eval.intervention.rows import Tokens
from sna_eval.plan import UNLABELLED, PlannedIntervention, TaskPlan, entry_interventions
from sna_eval.plan.applying import PREDICTED, follows_answer
from sna_eval.registry import either


@dataclass(frozen=True, eq=False)
class Baseline:
    """What the unmodified model says about an item."""

    scores: tuple[BranchScore, ...]
    """One per request."""
    next_token: tuple[torch.Tensor, ...] = ()
    """Log-probabilities after each distinct context, `[vocabulary]`, where the gate needs them."""

    @classmethod
    def of_values(cls, log_likelihoods: Sequence[float]) -> Baseline:
        """Of scores alone: for gates that read nothing else, and nobody who asks for greediness."""
        return cls(tuple(BranchScore(float(value), False) for value in log_likelihoods))


ScoredRow = tuple[Row, Sequence[int], RowScore]
"""A row of an item, the numbers of the requests that its branches answer, and their scores."""


def baseline_of(item: Item, scored: Iterable[ScoredRow], *, as_given: bool = False) -> Baseline:
    """An item's baseline from the scores of all its rows, in any order.

    What follows a context counts once, and not at all where only unconditional requests have it:
    it says nothing of the item's confidence. Requests that read the same tie, however they round.

    **Arguments:**

    - `as_given`: leaves scores as they are, to the bit.
    """
    branches: dict[int, BranchScore] = {}
    next_token: dict[Tokens, torch.Tensor] = {}
    for row, numbers, score in scored:
        branches.update(zip(numbers, score.branches, strict=True))
        if asks(item, numbers):
            next_token[row.context] = score.log_probs
    tied = item.with_ties(branches)
    scores = tuple(branches[n] for n in sorted(branches)) if as_given else tied
    return Baseline(scores, tuple(next_token.values()))


def asks(item: Item, numbers: Sequence[int]) -> bool:
    """Whether a row with these requests of an item has one of its answers."""
    return any(number in item.choices for number in numbers)


def kept(score: RowScore, gate: Gate | None) -> RowScore:
    """What of a row's score is needed later: a distribution is a vocabulary long, for each row."""
    if gate is not None and needs_next_token(gate):
        return score
    return replace(score, log_probs=NOTHING)


NOTHING = torch.empty(0)
"""In the place of a distribution that nobody reads."""

RightAnswer = Callable[[Item], int]
"""Says which request of an item is the right answer; asked only where a plan wants to know."""


def needs_next_token(gate: Gate) -> bool:
    """Whether a gate reads the next-token distribution."""
    return gate.mode == "confidence" and isinstance(gate.measured_by, NextTokenSignal)


def decide(gate: Gate, item: Item, baseline: Baseline, right: RightAnswer) -> Decision:
    """Zone, confidence and decision of an item.

    A single choice, where a task offers choices, is in zone 3: there is nothing to decide between.
    """
    gate = with_usable_signal(gate, item)
    if item.alone and isinstance(gate.measured_by, ChoicesSignal):
        return Decision(3, 1.0, gate.mode == "always")  # one choice is as sure as can be
    return gate.decide(_confidence(gate.measured_by, item, baseline, right))


def interventions_for(
    plan: TaskPlan, item: Item, baseline: Baseline, right: RightAnswer
) -> tuple[Affine, ...]:
    """What a plan does to one item; directions are settled here. Empty if nothing would change."""
    found = (
        intervention
        for entry in plan.interventions
        for intervention in entry_interventions(entry, _label(entry, item, baseline, right))
    )
    return tuple(intervention for intervention in found if not intervention.changes_nothing)


def with_usable_signal(gate: Gate, item: Item) -> Gate:
    """`always` and `never` report zones by whatever signal the item has."""
    if gate.mode == "confidence":
        return gate
    compared = item.alone or len(item.choices) > 1
    signal = SIGNALS.first(ChoicesSignal if compared else AnswerSignal)
    return gate if signal.name == gate.signal else gate.with_zones_by(signal)


def _confidence(
    signal: ConfidenceSignal, item: Item, baseline: Baseline, right: RightAnswer
) -> float:
    if isinstance(signal, AnswerSignal):
        return signal.measure(baseline.scores[right(item)].log_likelihood)
    if isinstance(signal, ChoicesSignal):
        if len(item.choices) < 2:
            raise InputError(
                f"tasks.{item.task}.gate.signal",
                expected="a signal for tasks with one continuation",
                got=signal.name,
                hint=f"it needs two choices; use {either(without_choices())}",
            )
        return signal.measure([baseline.scores[number].log_likelihood for number in item.choices])
    assert isinstance(signal, NextTokenSignal)
    values = [float(signal.measure(log_probs)) for log_probs in baseline.next_token]
    return sum(values) / len(values)  # choices with contexts of their own count alike


def without_choices() -> list[str]:
    """Names of the signals that items with one continuation have too."""
    return [name for name, signal in SIGNALS.items() if not isinstance(signal, ChoicesSignal)]


def predicted_of_one(task: str) -> InputError:
    """The complaint about a prediction where there is nothing to choose: it would be the answer."""
    return InputError(
        f"tasks.{task}.direction", expected="`both` or a label where there is one continuation",
        got=PREDICTED, hint="the only continuation is the right answer, not a prediction",
    )  # fmt: skip


def _label(entry: PlannedIntervention, item: Item, baseline: Baseline, right: RightAnswer) -> str:
    """The label that an entry's direction means for one item."""
    direction = entry.direction
    if follows_answer(direction):
        return item.requests[right(item)].label
    if direction == PREDICTED:
        if len(item.choices) < 2 and not item.alone and list(entry.neurons or {}) != [UNLABELLED]:
            raise predicted_of_one(item.task)
        scores: Sequence[BranchScore] = baseline.scores
        best = max(item.choices, key=lambda number: scores[number].log_likelihood)
        return item.requests[best].label
    return direction
