"""Gated amplification of rolling log-likelihoods: the whole text is one item.

Confidence is `exp` of the mean log-likelihood per token, since the probability of a whole text is
next to nothing for every model. Signals on the next token do not apply to a text as a whole.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sna_eval.errors import InputError
from sna_eval.gating import AnswerSignal, Decision, signals_of, usual_signal
from sna_eval.harness.plugin.ranks import asked_for, on_its_own
from sna_eval.harness.scoring.ledger import ROLLING
from sna_eval.harness.values import Evidence, Score
from sna_eval.intervention import Affine, amplify
from sna_eval.plan import TaskPlan, plain_interventions
from sna_eval.registry import either

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

Rolling = Callable[..., list[float]]


def score_rolling(
    lm: SNALM, rolling: Rolling, requests: Sequence[Any], disable_tqdm: bool
) -> list[float]:
    """Baseline of all texts, then a second pass over those whose gate opened.

    **Arguments:**

    - `rolling`: HFLM's own method.
    """
    baseline = rolling(list(requests), disable_tqdm=disable_tqdm)
    plans = [lm.plans.for_instance(request) for request in requests]
    answers: list[float] = list(baseline)
    counts = asked_for(requests)
    open_texts: dict[tuple[Affine, ...], list[int]] = defaultdict(list)
    for number, plan in enumerate(plans):
        if plan is None:
            continue
        decision = _decide(lm, plan, requests[number], baseline[number])
        if counts[number]:
            lm.ledger.count_item(requests[number].task_name or "", decision, ROLLING)
        evidence = Evidence.of(decision, baseline=baseline[number], oracle=plan.oracle)
        answers[number] = Score(baseline[number], evidence)
        if decision.amplified:
            open_texts[_interventions(plan)].append(number)
    for interventions, numbers in open_texts.items():
        with on_its_own(lm), amplify(lm.model, interventions, sites=lm.sites):
            amplified = rolling([requests[number] for number in numbers], disable_tqdm=disable_tqdm)
        for number, value in zip(numbers, amplified, strict=True):
            if math.isfinite(value):
                answers[number] = Score(value, answers[number].evidence)  # type: ignore[attr-defined]
            elif counts[number]:
                lm.ledger.tasks[requests[number].task_name or ""].overflowed += 1
    return answers


def _decide(lm: SNALM, plan: TaskPlan, request: Any, log_likelihood: float) -> Decision:
    gate = plan.gate
    own = gate.measured_by
    if not isinstance(own, AnswerSignal):
        if gate.mode == "confidence":
            allowed = either([*signals_of(AnswerSignal), "always", "never"])
            raise InputError(
                f"tasks.{request.task_name}.gate.signal",
                expected=f"{allowed} for a rolling text", got=own.name,
            )  # fmt: skip
        own = usual_signal(AnswerSignal)
        gate = gate.with_zones_by(own)
    tokens = max(1, len(lm.tok_encode(request.args[0])))
    return gate.decide(own.measure(log_likelihood / tokens))


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
