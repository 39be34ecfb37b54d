"""Whether a served copy does what a plan does: nothing less, nothing else, on the right model.

Neutral sentences are scored twice: by the plan in this process, and by the copy. Four things are
compared: the base model's log-likelihoods, the amplified ones, what amplification does to them,
and the gate's decisions. A served intervention that silently does nothing fails the third. A server
is asked once more, for both models at the same time: the answers have to be those it gave apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sna_eval.gating import ungated
from sna_eval.harness.scoring.ledger import Ledger
from sna_eval.harness.scoring.passes import ScorePasses
from sna_eval.harness.scoring.scorer import Scorer
from sna_eval.harness.tasks.items import Item
from sna_eval.harness.tasks.task_plans import TaskPlans
from sna_eval.harness.values import Evidence, evidence_of
from sna_eval.plan import TaskPlan
from sna_eval.serving.served_model import Continuation, ScoredModel

TOLERANCE = 0.01
"""Nats that two log-likelihoods may be apart: float32 engines differ by 1e-4, other weights by
more than 0.1."""
_CLEAR = 10
"""How many tolerances the plan's own effect has to be, somewhere, to be told from nothing."""
_STRENGTHS = (0.9, 1.1)
"""How strongly a copy may act, as a multiple of the plan."""
_NOTHING = 0.05
"""What acts less strongly does nothing."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What one side says of the items' continuations, `[continuation]`, and of the items."""

    base: np.ndarray
    amplified: np.ndarray
    decisions: tuple[Evidence, ...]

    @property
    def effect(self) -> np.ndarray:
        """What amplification does to each log-likelihood, in nats."""
        return self.amplified - self.base


def scored(
    passes: ScorePasses, plans: TaskPlans, items: Sequence[Item], *, quiet: bool = False
) -> Scored:
    """Scores items behind the plan's gate and, for what amplification does, without one.

    **Arguments:**

    - `plans`: has a part for the items' task.
    """

    def run(plan: TaskPlans) -> list[list[tuple[float, bool]]]:
        return Scorer(passes, plan, Ledger()).score(items, lambda item: 0, quiet=quiet)

    gated = run(plans)
    evidence = tuple(
        found for answers in gated if (found := evidence_of(answers[0][0])) is not None
    )
    opened = [value for answers in run(_Open(plans)) for value, _ in answers]
    base = [found.baseline for value in opened if (found := evidence_of(value)) is not None]
    return Scored(np.array(base), np.array(list(map(float, opened))), evidence)


def asked_in_turn(model: ScoredModel, adapter: str, items: Sequence[Item]) -> np.ndarray:
    """Log-likelihoods of base model and adapter, asked for by turns.

    **Returns:** `[2, continuation]`, in nats; the base model's first.
    """
    asked = [
        Continuation(name, request.context, request.continuation)
        for item in items
        for request in item.requests
        for name in (None, adapter)
    ]
    scores = [score.log_likelihood for score in model.scores(asked, quiet=True)]
    return np.array(scores).reshape(-1, 2).T


class _Open(TaskPlans):
    """The same plans, their gates open."""

    def __init__(self, plans: TaskPlans) -> None:
        super().__init__(plans.plan)
        self._plans = plans

    def for_instance(self, instance: object) -> TaskPlan | None:
        plan = self._plans.for_instance(instance)
        return None if plan is None else replace(plan, gate=ungated(plan.gate))

    def encode(self, context: str, continuation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self._plans.encode(context, continuation)

    def _settle(self, name: str, plan: TaskPlan, owner: object) -> TaskPlan:
        return plan


@dataclass(frozen=True)
class Verification:
    """How a served copy compares to the plan; all differences in nats."""

    base_difference: float
    """Largest, between the base models' log-likelihoods."""
    amplified_difference: float
    """Largest, between the amplified ones."""
    effect: float
    """The largest thing that the plan does to a log-likelihood."""
    strength: float
    """What the copy does, as a multiple of it (least squares): 1 is right, 0 a no-op."""
    agreed: int
    """Items that both decide alike."""
    ties: int
    """Items decided otherwise within the tolerance of a bound."""
    items: int
    problems: tuple[str, ...]
    """What is wrong, most telling first; empty: nothing."""
    company: float = float("nan")
    """Largest, between log-likelihoods of one server asked for both models at the same time and
    for one after the other; not a number where there is no server."""


def compare(
    plan: TaskPlan,
    here: Scored,
    served: Scored,
    *,
    together: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
) -> Verification:
    """A served copy held against the plan in this process.

    **Arguments:**

    - `together`: from `asked_in_turn`, of a server that is asked for both at the same time.
    """
    base, amplified = (
        float(np.abs(mine - theirs).max())
        for mine, theirs in ((here.base, served.base), (here.amplified, served.amplified))
    )
    effect = float(np.abs(here.effect).max())
    power = float(here.effect @ here.effect)
    strength = float(here.effect @ served.effect) / power if power else 0.0
    pairs = list(zip(here.decisions, served.decisions, strict=True))
    other = [pair for pair in pairs if pair[0].amplified != pair[1].amplified]
    bounds = (plan.gate.low, plan.gate.high)
    ties = sum(
        min(abs(mine.confidence - bound) for bound in bounds) <= tolerance for mine, _ in other
    )
    apart = np.stack([served.base, served.amplified])
    company = float("nan") if together is None else float(np.abs(together - apart).max())
    found = Verification(
        base, amplified, effect, strength, len(pairs) - len(other), ties, len(pairs), (), company
    )
    return replace(found, problems=tuple(_problems(found, tolerance)))


def _problems(found: Verification, tolerance: float) -> list[str]:
    said = []
    if not found.base_difference <= tolerance:
        said.append(
            f"the base model is another, or computes otherwise: log-likelihoods differ by up to "
            f"{found.base_difference:.4g}"
        )
    if not found.effect >= _CLEAR * tolerance:
        said.append(
            f"the plan does too little on these texts to be told from nothing ({found.effect:.2g})"
        )
    elif not abs(found.strength) >= _NOTHING:
        said.append("no-op: the adapter's name is answered as if there were no adapter")
    elif not _STRENGTHS[0] <= found.strength <= _STRENGTHS[1]:
        said.append(f"the adapter acts {found.strength:.2f} times as strongly as the plan")
    if not said and not found.amplified_difference <= tolerance:
        said.append(
            f"the adapter does something else: log-likelihoods differ by up to "
            f"{found.amplified_difference:.4g}"
        )
    if not said and found.agreed + found.ties < found.items:
        said.append(
            f"{found.items - found.agreed - found.ties} of {found.items} gates decide otherwise"
        )
    if found.company > tolerance:
        said.append(
            f"base model and adapter asked at the same time answer otherwise than apart, by up to "
            f"{found.company:.4g}: one gets the other's weights (docs/serving.md, vLLM)"
        )
    return said
