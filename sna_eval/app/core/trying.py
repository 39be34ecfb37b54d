"""One question, before and after: confidence, zone, verdict, and what amplification does.

The prompt is continued by both models at once, in one batch of two rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from sna_eval.app.core.neurons import NeuronReport, chosen_neurons, describe
from sna_eval.app.core.question import TypedQuestion, question_items
from sna_eval.app.core.setting import Setting
from sna_eval.app.core.workspace import ITEM_TASK, Workspace, resolved_entry
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
    ScoredRow,
    baseline_of,
    decide,
    interventions_for,
    with_usable_signal,
)
from sna_eval.harness.tasks.items import item_rows
from sna_eval.intervention import Affine, Batch, Engine, Row, RowScore, amplify
from sna_eval.intervention.decoder import keeps_keys
from sna_eval.intervention.decoding import DecodingMask
from sna_eval.intervention.partial_passes import captured_activations
from sna_eval.intervention.prompt_pass import SharedPromptPass
from sna_eval.measuring.items import TaskItems
from sna_eval.measuring.subjects import amplified_rows
from sna_eval.plan import PlannedIntervention, TaskPlan

TOP = 10


@dataclass(frozen=True)
class TryConfig:
    """A question and what is to be done about it."""

    question: TypedQuestion
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
class TryResult:
    """The answer."""

    asked: TryConfig
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


def try_it(workspace: Workspace, asked: TryConfig) -> TryResult:
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
        sites = workspace.sites.of(entry.unit)
        channels = sites.channels_of([neuron for _, neuron, _ in chosen_neurons(entry)])
        wanted = {entry.layer: channels}
        with captured_activations(sites, wanted, rows=len(rows)) as activations:
            scores, captured = engine.run(batch, capture=_capture(engine, entry))
        baseline = baseline_of(item, _scored(rows, scores))
        decision = decide(setting.gate, item, baseline, items.right_answer)
        interventions = interventions_for(
            TaskPlan(setting.gate, (entry,)), item, baseline, items.right_answer
        )
        changed = scores
        if interventions:
            changed = amplified_rows(engine, batch, interventions, captured)
        context = rows[0][0].context
        texts = continuations(workspace, context, interventions, new_tokens=asked.new_tokens)
        here = sites.strengths(activations[entry.layer][0, : len(context)].float().cpu())
        reports = describe(workspace, entry, here)
        after = baseline_of(item, _scored(rows, changed))
    before = _side(workspace, baseline, scores[0], texts[0])
    amplified = _side(workspace, after, changed[0], texts[1])
    return TryResult(
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


def _capture(engine: Engine, entry: PlannedIntervention) -> list[int]:
    return [entry.layer] if engine.abilities.resumes else []


def _scored(
    rows: Sequence[tuple[Row, tuple[int, ...]]], scores: Sequence[RowScore]
) -> list[ScoredRow]:
    return [(row, numbers, score) for (row, numbers), score in zip(rows, scores, strict=True)]


def _side(workspace: Workspace, baseline: Baseline, first: RowScore, continuation: str) -> Side:
    """One model's side, from its scores and those of the first row."""
    best = first.log_probs.float().topk(TOP)
    top = zip(best.indices.tolist(), best.values.exp().tolist(), strict=True)
    return Side(
        tuple(score.log_likelihood for score in baseline.scores),
        tuple((workspace.lm.tok_decode([token]), prob) for token, prob in top),
        continuation,
    )


def _signals(log_likelihoods: tuple[float, ...], scores: Sequence[RowScore]) -> dict[Signal, float]:
    log_probs = scores[0].log_probs.float()
    values: dict[Signal, float] = {}
    for name, signal in SIGNALS.items():
        if isinstance(signal, AnswerSignal):
            values[name] = signal.measure(log_likelihoods[0])
        elif isinstance(signal, NextTokenSignal):
            values[name] = float(signal.measure(log_probs))
        elif isinstance(signal, ChoicesSignal) and len(log_likelihoods) > 1:
            values[name] = signal.measure(log_likelihoods)
    return values


def _target_tokens(workspace: Workspace, items: TaskItems) -> tuple[str, ...]:
    """The target as the model's tokens."""
    target = items.items[0].requests[0].continuation
    return tuple(workspace.lm.tok_decode([token]) for token in target)


_AMPLIFIED = torch.tensor([False, True])
"""Which of the two rows is amplified."""


def continuations(
    workspace: Workspace,
    context: Sequence[int],
    interventions: Sequence[Affine],
    *,
    new_tokens: int,
) -> tuple[str, str]:
    """Greedy continuations of the unmodified and of the amplified model.

    **Arguments:**

    - `context`: the prompt's tokens; where the window has no room behind them, the first are left
        out.
    """
    room = max(1, workspace.lm.max_length - new_tokens)
    with workspace.passes() as engine:
        prompt = torch.tensor([list(context[-room:])] * 2, device=engine.device)
        with engine.context(), _second_row(engine, interventions, prompt):
            output = engine.model.generate(  # type: ignore[operator]
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=new_tokens,
                do_sample=False,
                pad_token_id=workspace.lm.tokenizer.pad_token_id,
            )
    before, after = (_text(workspace, row) for row in output[:, prompt.shape[1] :])
    return before, after


@contextmanager
def _second_row(
    engine: Engine, interventions: Sequence[Affine], prompt: torch.Tensor
) -> Iterator[None]:
    """`generate` in the body amplifies the second row."""
    if engine.abilities.resumes and keeps_keys(engine.model):
        shared = SharedPromptPass(
            engine.model,
            engine.sites,
            interventions,
            decide=lambda log_probs: _AMPLIFIED,
            returns_tuple=engine.abilities.returns_tuple,
        )
        with shared.installed():
            yield
        return

    mask = DecodingMask(_AMPLIFIED, torch.ones_like(prompt))
    hooks = amplify(engine.model, interventions, sites=engine.sites, mask=mask)
    with mask.told_of_passes(engine.model), hooks:
        yield


def _text(workspace: Workspace, tokens: torch.Tensor) -> str:
    return str(workspace.lm.tokenizer.decode(tokens, skip_special_tokens=True))
