"""Gated amplification of rolling log-likelihoods: the whole text is one item.

Confidence is `exp` of the mean log-likelihood per token, since the probability of a whole text is
next to nothing for every model. Signals on the next token do not apply to a text as a whole.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sna_eval.errors import InputError
from sna_eval.gating import SIGNALS, AnswerSignal, Decision
from sna_eval.harness.plugin.ranks import asked_for
from sna_eval.harness.scoring.ledger import ROLLING, Ledger
from sna_eval.harness.scoring.passes import RollingPasses
from sna_eval.harness.tasks.task_plans import TaskPlans
from sna_eval.harness.values import Evidence, Score, evidence_of
from sna_eval.intervention import Affine
from sna_eval.plan import TaskPlan, plain_interventions


def score_rolling(
    passes: RollingPasses,
    plans: TaskPlans,
    ledger: Ledger,
    requests: Sequence[Any],
    *,
    tokens: Callable[[str], int],
    quiet: bool,
) -> list[float]:
    """Baseline of all texts, then a second pass over those whose gate opened.

    **Arguments:**

    - `tokens`: how many a text has.
    """
    baseline = passes.rolling(requests, quiet=quiet)
    answers: list[float] = list(baseline)
    counts = asked_for(requests)
    open_texts: dict[tuple[Affine, ...], list[int]] = defaultdict(list)
    for number, request in enumerate(requests):
        plan = plans.for_instance(request)
        if plan is None:
            continue
        decision = _decide(plan, request, baseline[number], tokens)
        if counts[number]:
            ledger.count_item(request.task_name or "", decision, ROLLING)
        evidence = Evidence.of(decision, baseline=baseline[number], oracle=plan.oracle)
        answers[number] = Score(baseline[number], evidence)
        if decision.amplified:
            open_texts[_interventions(plan)].append(number)
    for interventions, numbers in open_texts.items():
        some = [requests[number] for number in numbers]
        amplified = passes.rolling(some, interventions, quiet=quiet)
        for number, value in zip(numbers, amplified, strict=True):
            if math.isfinite(value):
                answers[number] = Score(value, evidence_of(answers[number]))
            elif counts[number]:
                ledger.tasks[requests[number].task_name or ""].overflowed += 1
    return answers


def _decide(
    plan: TaskPlan, request: Any, log_likelihood: float, tokens: Callable[[str], int]
) -> Decision:
    gate = plan.gate
    signal = gate.measured_by
    if not isinstance(signal, AnswerSignal):
        assert gate.mode != "confidence", "a run's gates are looked at before it begins"
        signal = SIGNALS.first(AnswerSignal)
        gate = gate.with_zones_by(signal)
    return gate.decide(signal.measure(log_likelihood / max(1, tokens(request.args[0]))))


def _interventions(plan: TaskPlan) -> tuple[Affine, ...]:
    """All tokens of a text but the first are continuation, so `continuation` means everywhere."""
    return tuple(map(_everywhere, plain_interventions(plan)))


def _everywhere(intervention: Affine) -> Affine:
    if intervention.token is not None or intervention.positions == "last":
        got = "last" if intervention.token is None else f"token {intervention.token}"
        raise InputError("positions", expected="`all` for a rolling text", got=got)
    if intervention.positions == "all":
        return intervention
    return replace(intervention, positions="all")  # type: ignore[type-var]  # they are dataclasses
