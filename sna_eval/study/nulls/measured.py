"""Items that sets of neurons are measured on: the choosing half, and the test items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sna_eval.gating import Decision, Gate, NextTokenSignal
from sna_eval.harness.scoring.decisions import Baseline, decide
from sna_eval.intervention import Intervention
from sna_eval.measuring.answers import Answers, prompt_rows
from sna_eval.measuring.moved import Moved
from sna_eval.measuring.neuron_sets import Read, SetPasses
from sna_eval.measuring.passes import RowGroup
from sna_eval.measuring.readings import Confidence, Divergence, Panel
from sna_eval.measuring.subjects import Together
from sna_eval.measuring.values import Floats
from sna_eval.methods.temperature import equal_entropy_temperature
from sna_eval.study.nulls.next_tokens import NextTokens
from sna_eval.study.nulls.records import Outcomes, TestItems, kept_digits


@dataclass(frozen=True, eq=False)
class Pushes:
    """What sets do to the choosing items."""

    gains: Floats
    """Mean specific gain in log-odds behind the gate, `[set]`."""
    kls: Floats
    """Mean divergence of the next token, `[set]`, in nats."""
    entropies: Floats
    """Mean entropy of the next token, `[set]`, in nats."""


class MeasuredItems:
    """Some items under one gate; the unmodified model runs once, for all that is asked later.

    **Arguments:**

    - `gate`: whose items count.
    """

    def __init__(self, answers: Answers, passes: SetPasses, gate: Gate, read: Read) -> None:
        self.answers, self.passes, self.gate = answers, passes, gate
        self.groups: list[RowGroup] = passes.groups(answers.rows)
        first: Read = read
        if isinstance(gate.measured_by, NextTokenSignal):
            first = Confidence(read, gate.measured_by.measure)
        self._values = passes.baseline(self.groups, first, requests=len(answers.requests))
        self.baseline: Floats = self._values[:, 0]
        """Log-likelihoods of the unmodified model, `[request]`."""
        self.decisions = [self._decision(number) for number in range(len(answers.on_own_prompt))]
        self.opened = np.array([decision.amplified for decision in self.decisions])
        """Whose gate opens, `[item]`."""

    @property
    def tokens(self) -> int:
        """Tokens that a set takes."""
        return sum(group.width * len(group.rows) for group in self.groups)

    def _decision(self, number: int) -> Decision:
        item, asked = self.answers.items.items[number], self.answers.on_own_prompt[number]
        if isinstance(self.gate.measured_by, NextTokenSignal):  # also of a gate that is held open
            contexts = {self.answers.requests[number][0]: number for number in asked.choices}
            confidence = float(np.mean([self._values[one, -1] for one in contexts.values()]))
            return self.gate.decide(confidence)
        scores = [math.nan] * len(item.requests)
        for choice, request in zip(item.choices, asked.choices, strict=True):
            scores[choice] = float(self.baseline[request])
        right = self.answers.items.right_answer
        return decide(self.gate, item, Baseline.of_values(scores), right)

    def _measure(self, sets: Sequence[Intervention], read: Read, moved: Moved | None) -> Floats:
        """Values of every set, `[set, request, value]`; what is no number stays the baseline's."""
        requests = len(self.answers.requests)
        found = self.passes.measure(self.groups, sets, read, requests=requests, progress=moved)
        return self._finite(found)

    def _together(self, sets: Sequence[Together], read: Read, moved: Moved | None) -> Floats:
        requests = len(self.answers.requests)
        found = self.passes.together(self.groups, sets, read, requests=requests, progress=moved)
        return self._finite(found)

    def _finite(self, found: Floats) -> Floats:
        scores = found[..., 0]
        found[..., 0] = np.where(np.isfinite(scores), scores, self.baseline)
        return found

    def specific(self, log_likelihoods: Floats) -> Floats:
        """`[..., item]`, gate held open."""
        return self.answers.specific(log_likelihoods, self.baseline)


class ChoosingItems(MeasuredItems):
    """Development items that configurations are chosen on: those whose gate opens, or all of them
    where none does."""

    def __init__(self, answers: Answers, passes: SetPasses, gate: Gate) -> None:
        self._divergence = Divergence()
        super().__init__(answers, passes, gate, self._divergence.base)
        self._next_tokens = NextTokens(prompt_rows(answers), passes)
        counted = self.opened if self.opened.any() else np.ones_like(self.opened)
        self._weights = counted.astype(np.float64)

    def pushes(self, sets: Sequence[Intervention], moved: Moved | None = None) -> Pushes:
        """Gain and push of every set."""
        return self._pushes(self._measure(sets, self._divergence, moved))

    def pushes_of(self, sets: Sequence[Together], moved: Moved | None = None) -> Pushes:
        """The same for interventions of any kind, those of a set at once."""
        return self._pushes(self._together(sets, self._divergence, moved))

    def kls(self, sets: Sequence[Intervention], moved: Moved | None = None) -> Floats:
        """How far every set pushes, `[set]`: prompts are run without answers."""
        return self._next_tokens.kls(sets, moved)

    def _pushes(self, found: Floats) -> Pushes:
        gains = (self.specific(found[..., 0]) * self._weights).mean(axis=-1)
        right = list(self.answers.right)
        kls, entropies = (found[:, right, column].mean(axis=-1) for column in (1, 2))
        return Pushes(gains, kls, entropies)

    def temperature_of(self, entropy: float) -> float:
        """The temperature at which the unmodified model is as undecided about the next token, on
        average, as an entropy says: what merely sharpens does no more."""
        return equal_entropy_temperature(self._divergence.distributions, entropy)

    def slopes(self) -> Floats:
        """Derivative of the gain by each request's log-likelihood, `[request]`."""
        return self.answers.slopes(self.baseline, self._weights)


@dataclass(frozen=True, eq=False)
class Tested:
    """What one set does to the test items, each `[item]`."""

    specific: Floats
    shift: Floats
    after: Outcomes


class TestedItems(MeasuredItems):
    """Test items."""

    def __init__(self, answers: Answers, passes: SetPasses, gate: Gate) -> None:
        self._panel = Panel(frozenset(answers.right))
        super().__init__(answers, passes, gate, self._panel)

    def record(self) -> TestItems:
        """The items as the unmodified model has them."""
        return TestItems(
            baseline=self._outcomes(self._values),
            zones=tuple(decision.zone for decision in self.decisions),
            confidence=kept_digits(np.array([one.confidence for one in self.decisions])),
            opened=tuple(map(bool, self.opened)),
            answers=tuple(map(str, self.answers.items.clusters)),
            n_others=self.answers.n_others,
            sees_answer=self.gate.sees_answer,
        )

    def measure(self, sets: Sequence[Intervention], moved: Moved | None = None) -> list[Tested]:
        """Every set on every item, gate held open."""
        return [self._tested(values) for values in self._measure(sets, self._panel, moved)]

    def measure_of(self, sets: Sequence[Together], moved: Moved | None = None) -> list[Tested]:
        """The same for interventions of any kind, those of a set at once."""
        return [self._tested(values) for values in self._together(sets, self._panel, moved)]

    def _tested(self, values: Floats) -> Tested:
        shift = self.answers.shift(values[:, 0], self.baseline)
        return Tested(self.specific(values[:, 0]), shift, self._outcomes(values))

    def _outcomes(self, values: Floats) -> Outcomes:
        """From values of requests, `[request, value]`."""
        scores, right = values[:, 0], list(self.answers.right)
        margins, ranks, greedy = (values[right, column] for column in (1, 2, 3))
        for number, asked in enumerate(self.answers.on_own_prompt):
            if len(asked.choices) > 1:
                score, rivals = _apart(scores, asked.choices, asked.right)
                margins[number] = score - rivals.max()
                ranks[number] = 1 + int((rivals > score).sum())
                greedy[number] = float(_likeliest(scores, asked.choices) == asked.right)
        return Outcomes(
            log_prob=kept_digits(scores[right]),
            log_odds=kept_digits(self.answers.log_odds(scores)),
            margin=kept_digits(margins),
            rank=tuple(map(int, ranks)),
            correct=tuple(map(bool, greedy)),
        )


def _apart(scores: Floats, choices: Sequence[int], right: int) -> tuple[float, Floats]:
    """The right answer's score, and the others'."""
    every = scores[list(choices)]
    return float(every[right]), np.delete(every, right)


def _likeliest(scores: Floats, choices: Sequence[int]) -> int:
    """The first of the likeliest."""
    return int(scores[list(choices)].argmax())
