"""From baseline scores to a decision per item, and to the interventions it asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sna_eval.directions import PREDICTED, follows_answer
from sna_eval.errors import InputError
from sna_eval.gating import (
    SIGNALS,
    AnswerSignal,
    ChoicesSignal,
    ConfidenceSignal,
    Decision,
    Gate,
    NextTokenSignal,
    usual_signal,
)
from sna_eval.harness.tasks.items import Item
from sna_eval.intervention import Affine
from sna_eval.intervention.forward import BranchScore
from sna_eval.plan import UNLABELLED, PlannedIntervention, TaskPlan, entry_interventions
from sna_eval.registry import either


@dataclass(frozen=True, eq=False)
class Baseline:
    """What the unmodified model says about an item."""

    scores: tuple[BranchScore, ...]
    """One per request."""
    next_token: tuple[torch.Tensor, ...] = ()
    """Log-probabilities after each distinct context, `[vocabulary]`, where the gate needs them."""


RightAnswer = Callable[[Item], int]
"""Says which request of an item is the right answer; asked only where a plan wants to know."""


def needs_next_token(gate: Gate) -> bool:
    """Whether a gate reads the next-token distribution."""
    return gate.mode == "confidence" and isinstance(gate.measured_by, NextTokenSignal)


def decide(gate: Gate, item: Item, baseline: Baseline, right: RightAnswer) -> Decision:
    """Zone, confidence and decision of an item."""
    gate = with_usable_signal(gate, item)
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
    signal = usual_signal(ChoicesSignal if len(item.choices) > 1 else AnswerSignal)
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
    return [name for name, own in SIGNALS.items() if not isinstance(own, ChoicesSignal)]


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
        if len(item.choices) < 2 and list(entry.neurons or {}) != [UNLABELLED]:
            raise predicted_of_one(item.task)
        scores: Sequence[BranchScore] = baseline.scores
        best = max(item.choices, key=lambda number: scores[number].log_likelihood)
        return item.requests[best].label
    return direction
