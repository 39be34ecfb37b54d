"""Scores and texts of a model that runs elsewhere: the seam's implementation for served models.

First the base model is asked for everything; then the gates decide; then adapters are asked for the
items that opened. Where a gate is open whatever the base model says, nothing waits for it; the two
models' requests are never in flight together all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from sna_eval.gating import Gate, NextTokenSignal
from sna_eval.harness.scoring.decisions import Baseline, needs_next_token
from sna_eval.harness.scoring.ledger import Ledger
from sna_eval.harness.scoring.passes import (
    Decide,
    DecideText,
    Generated,
    Opened,
    PlannedItem,
    Scores,
    Told,
    tell_nobody,
)
from sna_eval.harness.tasks.items import Item, check_length
from sna_eval.intervention import Affine, BranchScore
from sna_eval.intervention.rows import Tokens
from sna_eval.plan import TaskPlan, plain_interventions
from sna_eval.serving.adapters import Adapters
from sna_eval.serving.served_model import (
    Completion,
    Continuation,
    ContinuationScore,
    Prompt,
    ScoredModel,
    ServedModel,
)

_Known = Mapping[Continuation, ContinuationScore]


class ServedScores:
    """Scores of a served base model and its adapters."""

    def __init__(self, model: ScoredModel, adapters: Adapters, ledger: Ledger) -> None:
        self._model, self._adapters, self._ledger = model, adapters, ledger

    def scores(
        self, asked: Sequence[PlannedItem], decide: Decide, *, quiet: bool = False
    ) -> Iterator[tuple[int, Scores]]:
        for planned in asked:
            check_length(planned.item, self._model.max_length - 1)  # a context token is left
        base = [self._continuations(planned.item, None) for planned in asked]
        ahead = [text for planned in asked for text in self._ahead(planned)]
        self._count(sum(map(len, base)), [text for texts in base for text in texts])
        known = self._scored([text for texts in base for text in texts] + ahead, quiet)
        following = self._following(asked, quiet)
        opened: dict[int, Opened] = {}
        for number, (planned, texts) in enumerate(zip(asked, base, strict=True)):
            going_on = decide(number, self._baseline(planned, texts, known, following))
            if going_on is None:
                yield number, {}
            else:
                opened[number] = going_on
        yield from self._amplified(opened, known, quiet)

    def _continuations(self, item: Item, adapter: str | None) -> list[Continuation]:
        """What is asked for an item's requests, in order."""
        most = self._model.max_length
        return [
            Continuation(
                adapter, request.context[len(request.continuation) - most :], request.continuation
            )
            for request in item.requests
        ]

    def _ahead(self, asked: PlannedItem) -> list[Continuation]:
        """What is asked of an adapter unseen, since the gate is open whatever comes."""
        plan = asked.plan
        if plan is None or plan.gate.mode != "always" or plan.prompt:
            return []
        adapter = self._adapters.of(plain_interventions(plan))
        return [] if adapter is None else self._continuations(asked.item, adapter)

    def _scored(self, texts: Sequence[Continuation], quiet: bool) -> _Known:
        """Each once, however often it is asked for."""
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, self._model.scores(distinct, quiet=quiet), strict=True))

    def _following(self, asked: Sequence[PlannedItem], quiet: bool) -> dict[Tokens, torch.Tensor]:
        """The whole distribution after each context whose gate reads it, `[vocabulary]`."""
        contexts: dict[Tokens, None] = {}
        for planned in asked:
            if planned.plan is not None and reads_all(planned.plan.gate):
                texts = self._continuations(planned.item, None)
                contexts.update(
                    dict.fromkeys(texts[number].context for number in planned.item.choices)
                )
        found = self._model.distributions(list(contexts), quiet=quiet) if contexts else []
        return dict(zip(contexts, found, strict=True))

    def _baseline(
        self,
        asked: PlannedItem,
        texts: Sequence[Continuation],
        known: _Known,
        following: Mapping[Tokens, torch.Tensor],
    ) -> Baseline:
        scores = tuple(_branch(known[text]) for text in texts)
        if asked.plan is None or not needs_next_token(asked.plan.gate):
            return Baseline(scores)
        first = {texts[number].context: texts[number] for number in asked.item.choices}
        return Baseline(
            scores,
            tuple(
                following[context]
                if context in following
                else torch.tensor([known[text].likeliest])
                for context, text in first.items()
            ),
        )

    def _amplified(
        self, opened: Mapping[int, Opened], known: _Known, quiet: bool
    ) -> Iterator[tuple[int, Scores]]:
        texts = {
            number: self._continuations(going_on.item, self._adapters.of(going_on.interventions))
            for number, going_on in opened.items()
        }
        every = [text for of_item in texts.values() for text in of_item]
        missing = [text for text in every if text not in known]
        known = {**known, **(self._scored(missing, quiet) if missing else {})}
        self._ledger.full_rows += len(every)
        for number, of_item in texts.items():
            yield number, {place: _branch(known[text]) for place, text in enumerate(of_item)}

    def _count(self, rows: int, texts: Sequence[Continuation]) -> None:
        self._ledger.baseline_rows += rows
        self._ledger.baseline_tokens += sum(
            len(text.context) + len(text.continuation) - 1 for text in texts
        )


class ServedPasses(ServedScores):
    """Passes of a served base model and its adapters."""

    def __init__(self, model: ServedModel, adapters: Adapters, ledger: Ledger) -> None:
        super().__init__(model, adapters, ledger)
        self._served = model

    def rolling(
        self, requests: Sequence[Any], interventions: tuple[Affine, ...] = (), *, quiet: bool
    ) -> list[float]:
        adapter = self._adapters.of(interventions)
        windows = [self._served.windows(request.args[0]) for request in requests]
        texts = [[Continuation(adapter, *pair) for pair in of_text] for of_text in windows]
        known = self._scored([text for of_text in texts for text in of_text], quiet)
        return [sum(known[text].log_likelihood for text in of_text) for of_text in texts]

    def texts(
        self, requests: Sequence[Any], *, quiet: bool, told: Told[Generated] = tell_nobody
    ) -> list[str]:
        asked = [_prompt(None, request) for request in requests]
        return [completion.text for completion in self._served.completions(asked, quiet=quiet)]

    def gated_texts(
        self,
        requests: Sequence[Any],
        plan: TaskPlan,
        decide: DecideText,
        *,
        quiet: bool,
        told: Told[Generated] = tell_nobody,
    ) -> list[Generated]:
        gate = plan.gate
        acting = () if gate.mode == "never" else plain_interventions(plan)
        adapter = self._adapters.of(acting)
        base = [_prompt(None, request) for request in requests]
        ahead = range(len(base)) if gate.mode == "always" and adapter is not None else range(0)
        amplified = [_prompt(adapter, requests[number]) for number in ahead]
        found = self._served.completions([*base, *amplified], quiet=quiet)
        texts: dict[int, Completion] = dict(zip(ahead, found[len(base) :], strict=True))
        decisions = list(map(decide, self._first_tokens(gate, base, found[: len(base)], quiet)))
        late = [
            number
            for number, decision in enumerate(decisions)
            if decision.amplified and adapter is not None and number not in texts
        ]
        asked = [_prompt(adapter, requests[number]) for number in late]
        texts |= dict(zip(late, self._served.completions(asked, quiet=quiet), strict=True))
        self._ledger.baseline_rows += len(base)
        self._ledger.full_rows += len(texts)
        return [
            Generated(
                texts[number].text if number in texts else before.text,
                decision,
                changed=number in texts,
                baseline=before.text,
            )
            for number, (before, decision) in enumerate(
                zip(found[: len(base)], decisions, strict=True)
            )
        ]

    def _first_tokens(
        self, gate: Gate, base: Sequence[Prompt], found: Sequence[Completion], quiet: bool
    ) -> list[torch.Tensor]:
        """What a gate reads of each text's first token: all of it, or the likeliest one."""
        if not reads_all(gate):
            return [torch.tensor([completion.likeliest]) for completion in found]
        return self._model.distributions(
            [self._served.tokens(prompt) for prompt in base], quiet=quiet
        )


def reads_all(gate: Gate) -> bool:
    """Whether a gate reads more of a distribution than its likeliest token."""
    signal = gate.measured_by
    return needs_next_token(gate) and isinstance(signal, NextTokenSignal) and not signal.likeliest


def _branch(score: ContinuationScore) -> BranchScore:
    return BranchScore(score.log_likelihood, score.is_greedy)


def _prompt(adapter: str | None, request: Any) -> Prompt:
    text, settings = request.args[:2]
    return Prompt(adapter, text, settings)
