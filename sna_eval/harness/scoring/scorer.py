"""Both answers for every request in one run: the baseline, the gate, what open items score then."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sna_eval.gating import Decision
from sna_eval.harness.scoring.decisions import Baseline, RightAnswer, decide, interventions_for
from sna_eval.harness.scoring.ledger import SCORED, Ledger
from sna_eval.harness.scoring.passes import Opened, PlannedItem, ScorePasses, Scores
from sna_eval.harness.tasks.items import Item, prompted
from sna_eval.harness.tasks.task_plans import TaskPlans
from sna_eval.harness.values import Answer, Evidence, Score
from sna_eval.intervention import BranchScore


@dataclass(eq=False)
class Scorer:
    """Scores items by the plans of their tasks."""

    passes: ScorePasses
    plans: TaskPlans
    ledger: Ledger
    question: Callable[[Item], str | None] = lambda item: None
    """An item's own text in its contexts; asked where a plan puts examples before it."""

    def score(
        self, items: Sequence[Item], right: RightAnswer, *, quiet: bool = False
    ) -> list[list[Answer]]:
        """Both answers of every request of every item, in order."""
        found = dict(self.scored(items, right, quiet=quiet))
        return [found[number] for number in range(len(items))]

    def scored(
        self, items: Sequence[Item], right: RightAnswer, *, quiet: bool = False
    ) -> Iterator[tuple[int, list[Answer]]]:
        """The same as soon as it is known: each item's number and answers, in any order."""
        asked = [PlannedItem(item, self.plans.for_instance(item.instance)) for item in items]
        known: dict[int, _Known] = {}

        def how_it_goes_on(number: int, baseline: Baseline) -> Opened | None:
            known[number], opened = self._decide(asked[number], baseline, right)
            return opened

        for number, amplified in self.passes.scores(asked, how_it_goes_on, quiet=quiet):
            yield number, self._answers(asked[number], known.pop(number), amplified)

    def _decide(
        self, asked: PlannedItem, baseline: Baseline, right: RightAnswer
    ) -> tuple[_Known, Opened | None]:
        item, plan = asked.item, asked.plan
        if plan is None:
            return _Known(baseline.scores), None
        decision = decide(plan.gate, item, baseline, right)
        known = _Known(baseline.scores, decision)
        if not decision.amplified:
            return known, None
        interventions = interventions_for(plan, item, baseline, right)
        if plan.prompt:
            item = prompted(item, plan.prompt, self.question(item), self.plans.encode)
        elif not interventions:
            return known, None
        return known, Opened(item, interventions)

    def _answers(self, asked: PlannedItem, known: _Known, amplified: Scores) -> list[Answer]:
        before, decision = known.baseline, known.decision
        if asked.plan is None or decision is None:
            return [(score.log_likelihood, score.is_greedy) for score in before]
        overflowed = any(not math.isfinite(score.log_likelihood) for score in amplified.values())
        final = amplified if amplified and not overflowed else dict(enumerate(before))
        item = asked.item
        self.ledger.count_item(item.task, decision, SCORED, overflowed=overflowed, alone=item.alone)
        answers: list[Answer] = []
        for number, score in enumerate(before):
            evidence = Evidence.of(
                decision,
                baseline=score.log_likelihood,
                baseline_is_greedy=score.is_greedy,
                oracle=asked.plan.oracle,
                overflowed=overflowed,
            )
            result = final[number]
            answers.append((Score(result.log_likelihood, evidence), result.is_greedy))
        return answers


@dataclass(frozen=True, eq=False)
class _Known:
    """What is kept of an item between its baseline and its answers."""

    baseline: tuple[BranchScore, ...]
    decision: Decision | None = None
