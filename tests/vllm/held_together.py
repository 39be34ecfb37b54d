"""Two evaluations of the same documents, by different engines, held against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TIE = 1e-3
"""How near a bound two confidences may be decided otherwise."""
SCORES = 1e-4
"""Nats that log-likelihoods may be apart."""


@dataclass
class Compared:
    """How far two evaluations of a task agree."""

    who: str
    task: str
    documents: int = 0
    opened: int = 0
    """Gates, in the first."""
    ties: int = 0
    """Documents within a tie of a bound."""
    otherwise: int = 0
    """Of those, documents that were decided otherwise."""
    confidence: float = 0.0
    """Largest difference."""
    scores: float = 0.0
    """Largest difference of log-likelihoods, in nats."""
    texts: int = 0
    """Generated texts that were equal."""

    def line(self) -> str:
        values = (
            f"{self.texts} texts equal" if self.texts else f"scores within {self.scores:.1e} nats"
        )
        return (
            f"{self.who}: {self.task}: {self.documents} documents, {self.opened} gates open, "
            f"{self.ties} within {TIE} of a bound ({self.otherwise} decided otherwise), "
            f"confidence within {self.confidence:.1e}, {values}"
        )


def hold_together(
    who: str, task: str, mine: dict[str, Any], theirs: dict[str, Any], bounds: tuple[float, float]
) -> Compared:
    """Compares the samples of a task, and its results where no document was decided otherwise.

    Decisions may differ at a bound alone; scores by `SCORES`; texts not at all.

    **Arguments:**

    - `mine`, `theirs`: what lm_eval's evaluator gives.
    - `bounds`: of the gate.
    """
    found = Compared(who, task)
    pairs = list(zip(_in_order(mine, task), _in_order(theirs, task), strict=True))
    for one, other in pairs:
        _document(found, one, other, bounds)
    if not found.otherwise:
        first, second = (_numbers(results["results"][task]) for results in (mine, theirs))
        assert first.keys() == second.keys()
        for name, value in first.items():
            # of two probabilities, each off by as much as its logarithm, in percent of the first
            pct = 2 * (100 + abs(value)) if name.startswith("improvement_pct") else 1
            assert abs(value - second[name]) < SCORES * pct, name
    return found


def _document(
    found: Compared, one: dict[str, Any], other: dict[str, Any], bounds: tuple[float, float]
) -> None:
    assert one["doc_id"] == other["doc_id"]
    apart = abs(one["confidence"] - other["confidence"])
    assert apart < TIE, one["doc_id"]
    tie = min(abs(one["confidence"] - bound) for bound in bounds) < TIE
    same = (one["zone"], one["decision"]) == (other["zone"], other["decision"])
    assert tie or same, one["doc_id"]
    found.documents += 1
    found.opened += int(one["decision"])
    found.ties += tie
    found.otherwise += not same
    found.confidence = max(found.confidence, apart)
    for name in ("resps", "baseline_resps") if same else ("baseline_resps",):
        for answer, rival in zip(one[name], other[name], strict=True):
            _answer(found, answer[0], rival[0])


def _answer(found: Compared, answer: Any, rival: Any) -> None:
    if isinstance(answer, str):
        assert answer == rival
        found.texts += 1
        return
    apart = abs(float(answer[0]) - float(rival[0]))
    assert apart < SCORES
    assert str(answer[1]) == str(rival[1]), "whether the answer is the likeliest"
    found.scores = max(found.scores, apart)


def _in_order(results: dict[str, Any], task: str) -> list[dict[str, Any]]:
    return sorted(results["samples"][task], key=lambda sample: sample["doc_id"])


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and "stderr" not in name
    }
