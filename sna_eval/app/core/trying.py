"""One question, before and after: confidence, zone, verdict, and what amplification does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from sna_eval.app.core.continuing import continuations
from sna_eval.app.core.neurons import NeuronReport, chosen_neurons, describe
from sna_eval.app.core.planning import ITEM_TASK, resolved_entry
from sna_eval.app.core.question import Question, question_items
from sna_eval.app.core.setting import Setting
from sna_eval.app.core.workspace import Workspace
from sna_eval.gating import (
    SIGNALS,
    AnswerSignal,
    ChoicesSignal,
    Decision,
    Gate,
    NextTokenSignal,
    Signal,
)
from sna_eval.harness.scoring.decisions import (
    Baseline,
    decide,
    interventions_for,
    with_usable_signal,
)
from sna_eval.harness.tasks.items import item_rows
from sna_eval.intervention import Affine, Assigned, Batch, BranchScore, Engine, RowScore
from sna_eval.measuring.captures import captured_activations
from sna_eval.measuring.items import TaskItems
from sna_eval.plan import PlannedIntervention, TaskPlan

TOP = 10


@dataclass(frozen=True)
class Asked:
    """A question and what is to be done about it."""

    question: Question
    setting: Setting
    new_tokens: int = 20
    """How far the prompt is continued."""


@dataclass(frozen=True)
class Side:
    """What one of the two models says."""

    log_likelihoods: tuple[float, ...]
    """Of the choices, the right one first."""
    top: tuple[tuple[str, float], ...]
    """The likeliest next tokens, with their probabilities."""
    continuation: str
    """Greedy."""

    @property
    def prob(self) -> float:
        """P(target): of the whole right continuation."""
        return math.exp(self.log_likelihoods[0])


@dataclass(frozen=True, eq=False)
class Tried:
    """The answer."""

    asked: Asked
    entry: PlannedIntervention
    gate: Gate
    """The one whose zones are shown: the setting's, with a signal that this question has."""
    decision: Decision
    signals: Mapping[Signal, float]
    """Every signal that this question has, of the unmodified model."""
    before: Side
    amplified: Side
    """With the neurons amplified, whatever the gate says."""
    overflowed: bool
    """Whether the amplified score is not a number; the item then keeps its baseline."""
    target_tokens: tuple[str, ...]
    neurons: tuple[NeuronReport, ...]

    @property
    def after(self) -> Side:
        """What the gated model says, as an evaluation scores it."""
        kept = not self.decision.amplified or self.overflowed
        return self.before if kept else self.amplified


def try_it(workspace: Workspace, asked: Asked) -> Tried:
    """Scores a question with the unmodified and the amplified model.

    **Raises:** `InputError` for a layer or a direction that does not exist, and for a gate whose
    signal the question does not have.
    """
    setting = asked.setting
    with workspace.passes() as engine:
        entry = resolved_entry(workspace, setting)
        items = question_items(workspace.lm, [asked.question], task=ITEM_TASK)
        (item,) = items.items
        rows = item_rows(item, max_length=workspace.lm.max_length, packs=engine.abilities.packs)
        batch = Batch([row for row, _ in rows], engine.device)
        wanted = {entry.layer: [neuron for _, neuron, _ in chosen_neurons(entry)]}
        with captured_activations(workspace.sites, wanted, rows=len(rows)) as activations:
            scores, captured = engine.run(batch, capture=[entry.layer])
        numbers = [own for _, own in rows]
        baseline = Baseline(_in_order(numbers, scores), tuple(score.log_probs for score in scores))
        decision = decide(setting.gate, item, baseline, items.right_answer)
        interventions = interventions_for(
            TaskPlan(setting.gate, (entry,)), item, baseline, items.right_answer
        )
        changed = _amplified(engine, batch, interventions, captured) or scores
        context = rows[0][0].context
        texts = continuations(workspace, context, interventions, new_tokens=asked.new_tokens)
        here = activations[entry.layer][0, : len(context)].float().cpu()
        reports = describe(workspace, entry, here)
    before = _side(workspace, numbers, scores, texts[0])
    amplified = _side(workspace, numbers, changed, texts[1])
    return Tried(
        asked=asked,
        entry=entry,
        gate=with_usable_signal(setting.gate, item),
        decision=decision,
        signals=_signals(before.log_likelihoods, scores),
        before=before,
        amplified=amplified,
        overflowed=not all(map(math.isfinite, amplified.log_likelihoods)),
        target_tokens=_target_tokens(workspace, items),
        neurons=reports,
    )


def _amplified(
    engine: Engine,
    batch: Batch,
    interventions: Sequence[Affine],
    captured: Mapping[int, torch.Tensor],
) -> list[RowScore] | None:
    """The rows with the interventions on; `None` where they change nothing."""
    if not interventions:
        return None
    every = torch.ones(len(batch.rows), dtype=torch.bool, device=batch.device)
    layer = min(intervention.layer for intervention in interventions)
    hidden = captured.get(layer) if engine.abilities.resumes else None
    return engine.amplified(batch, [Assigned(i, every) for i in interventions], hidden=hidden)


def _in_order(
    numbers: Sequence[tuple[int, ...]], scores: Sequence[RowScore]
) -> tuple[BranchScore, ...]:
    """One score a request, in the order of the choices."""
    table = {
        number: branch
        for own, score in zip(numbers, scores, strict=True)
        for number, branch in zip(own, score.branches, strict=True)
    }
    return tuple(table[number] for number in sorted(table))


def _side(
    workspace: Workspace,
    numbers: Sequence[tuple[int, ...]],
    scores: Sequence[RowScore],
    continuation: str,
) -> Side:
    best = scores[0].log_probs.float().topk(TOP)
    top = zip(best.indices.tolist(), best.values.exp().tolist(), strict=True)
    return Side(
        tuple(branch.log_likelihood for branch in _in_order(numbers, scores)),
        tuple((workspace.lm.tok_decode([token]), prob) for token, prob in top),
        continuation,
    )


def _signals(log_likelihoods: tuple[float, ...], scores: Sequence[RowScore]) -> dict[Signal, float]:
    log_probs = scores[0].log_probs.float()
    values: dict[Signal, float] = {}
    for name, own in SIGNALS.items():
        if isinstance(own, AnswerSignal):
            values[name] = own.measure(log_likelihoods[0])
        elif isinstance(own, NextTokenSignal):
            values[name] = float(own.measure(log_probs))
        elif isinstance(own, ChoicesSignal) and len(log_likelihoods) > 1:
            values[name] = own.measure(log_likelihoods)
    return values


def _target_tokens(workspace: Workspace, items: TaskItems) -> tuple[str, ...]:
    """The target as the model's tokens."""
    target = items.items[0].requests[0].continuation
    return tuple(workspace.lm.tok_decode([token]) for token in target)
