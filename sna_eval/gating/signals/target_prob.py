"""P(target): how likely the right continuation is. Looks at the right answer."""

from __future__ import annotations

import math

from sna_eval.gating.signal import AnswerSignal


def target_prob(log_likelihood: float) -> float:
    """`exp` of the log-likelihood of the whole right continuation."""
    return math.exp(log_likelihood)


SIGNAL = AnswerSignal(
    name="target_prob",
    words="P(target)",
    low=0.07,  # Akhtar 2026, section 4
    high=0.10,
    measure=target_prob,
    usual=True,
)
