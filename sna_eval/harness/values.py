"""Answers that remember their baseline, in the types every lm_eval task already handles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sna_eval.gating import Decision, Zone


@dataclass(frozen=True)
class Evidence:
    """How an amplified answer came about."""

    baseline: float
    """The unmodified model's log-likelihood."""
    baseline_is_greedy: bool
    """Whether the unmodified model would have produced the continuation greedily."""
    zone: Zone
    """Zone of the item, by the unmodified model's confidence."""
    confidence: float
    """The confidence signal, in [0, 1]."""
    amplified: bool
    """Whether the gate opened."""
    oracle: bool
    """Whether the direction followed the right answer; a gate that looks at it does not count."""
    overflowed: bool = False
    """Whether an amplified score of the item was no number, so that its baseline stands."""

    @classmethod
    def of(
        cls,
        decision: Decision,
        *,
        baseline: float,
        baseline_is_greedy: bool = False,
        oracle: bool,
        overflowed: bool = False,
    ) -> Evidence:
        """Of an item that was decided on like this."""
        return cls(
            baseline=baseline,
            baseline_is_greedy=baseline_is_greedy,
            zone=decision.zone,
            confidence=decision.confidence,
            amplified=decision.amplified,
            oracle=oracle,
            overflowed=overflowed,
        )


class Score(float):
    """A log-likelihood with its `Evidence`: a float to everyone else.

    The number itself, copied or pickled (data parallel runs), keeps its evidence. Whatever is
    calculated from it, or rebuilt in its type as `statistics.mean` does, is a plain float.
    """

    __slots__ = ("evidence",)
    evidence: Evidence

    def __new__(cls, value: Any = 0.0, evidence: Evidence | None = None) -> Score:
        if evidence is None:
            return float(value)  # type: ignore[return-value]  # another number than was scored
        score = super().__new__(cls, value)
        score.evidence = evidence
        return score

    def __reduce__(self) -> tuple[Any, ...]:
        return (Score, (float(self), self.evidence))


class GeneratedText(str):
    """A generated text with the decision behind it: a string to everyone else.

    The text itself, copied or pickled, keeps both. Whatever is made of it, or cast to its type as
    lm_eval casts right answers, is a plain string.
    """

    __slots__ = ("baseline", "decision", "kl")
    decision: Decision
    baseline: str
    """The unmodified model's text; this one where the two are not told apart."""
    kl: float | None
    """Mean divergence of what the two models say next, along this text, in nats; `None` where it
    was not asked for or cannot be had."""

    def __new__(
        cls,
        *text: Any,
        decision: Decision | None = None,
        baseline: str | None = None,
        kl: float | None = None,
    ) -> GeneratedText:
        if decision is None:
            return str(*text)  # type: ignore[return-value]  # another text than was generated
        value = super().__new__(cls, *text)
        value.decision = decision
        value.baseline = str(value) if baseline is None else baseline
        value.kl = kl
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return (_generated, (str(self), self.decision, self.baseline, self.kl))


def _generated(
    text: str, decision: Decision, baseline: str, kl: float | None = None
) -> GeneratedText:
    return GeneratedText(text, decision=decision, baseline=baseline, kl=kl)


def baseline_of(answer: Any) -> Any:
    """The unmodified model's answer behind one of ours, as `--model hf` would give it.

    Another model's answer is its own.
    """
    if isinstance(answer, GeneratedText):
        return answer.baseline
    evidence = _evidence_behind(answer)
    if evidence is None:
        return answer
    if isinstance(answer, tuple):
        return (evidence.baseline, evidence.baseline_is_greedy)
    return evidence.baseline


def decision_of(answer: Any) -> Evidence | Decision | None:
    """Zone, confidence and decision behind an answer; `None` where nothing was decided."""
    return answer.decision if isinstance(answer, GeneratedText) else _evidence_behind(answer)


def _evidence_behind(answer: Any) -> Evidence | None:
    """Of a log-likelihood, or of one with whether it is greedy."""
    return evidence_of(answer[0] if isinstance(answer, tuple) and answer else answer)


def evidence_of(value: Any) -> Evidence | None:
    """The evidence an answer carries; `None` for another model's plain number."""
    return value.evidence if isinstance(value, Score) else None


Answer = tuple[float, bool]
"""Log-likelihood, a `Score` where a plan applies, and whether it would be produced greedily."""
