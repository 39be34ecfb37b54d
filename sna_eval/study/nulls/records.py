"""What a searched null found, and how it is kept: a JSON line for every ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sna_eval.measuring.values import Floats

CLAIM = -1
"""The number of the claim among draws that count from 0."""
DIGITS = 8
"""Significant digits that are kept: float32 has no more."""


@dataclass(frozen=True)
class Outcomes:
    """One state of the model on the test items, each `[item]`."""

    log_prob: tuple[float, ...]
    """Of the whole right answer, in nats."""
    log_odds: tuple[float, ...]
    """Against all else, or against the other choices."""
    margin: tuple[float, ...]
    """Log-probability less that of the best rival: of choices where there are several, else of the
    first token."""
    rank: tuple[int, ...]
    """Of the right answer among choices, or of its first token in the vocabulary; 1 is best."""
    correct: tuple[bool, ...]
    """Whether it is the likeliest choice, or what greedy decoding gives."""

    @property
    def prob(self) -> Floats:
        """Probability of the right answer."""
        return np.exp(np.array(self.log_prob))


@dataclass(frozen=True)
class TestItems:
    """The items that gains are taken on, as the unmodified model has them."""

    __test__ = False  # no test of pytest's

    baseline: Outcomes
    zones: tuple[int, ...]
    confidence: tuple[float, ...]
    opened: tuple[bool, ...]
    """Whether the gate opens; whose stays closed gains nothing."""
    answers: tuple[str, ...]
    """The cluster of each: mostly its right answer, which other items may share."""
    n_others: int
    """Pairs of an answer and another prompt that the specific part was measured on."""
    sees_answer: bool
    """Whether the gate looks at right answers. Then gains are descriptive: items that chance makes
    unlikely come back without any help."""


@dataclass(frozen=True)
class Found:
    """What one ranking's search came to."""

    draw: int
    """Which random ranking, from 0; `CLAIM` for the claim."""
    layer: int
    n_neurons: int
    """Per label where neurons belong to labels."""
    multiplier: float
    """As it was tested."""
    searched_multiplier: float
    """As it was chosen, before pushes were made equal."""
    neurons: Mapping[str, tuple[int, ...]]
    """By label."""
    predicted: float
    """First-order effect of the choice on the choosing items' mean specific log-odds."""
    development_gain: float
    """Its measured effect there: the best of those measured, so too large."""
    kl: float
    """Mean divergence of the next token on the choosing items, in nats, at `multiplier`."""
    kl_wanted: float
    """The claim's, at the multiplier that was chosen."""
    push_reached: bool
    """Whether the two agree; where not, no multiplier that was tried pushes as far."""
    gain: float
    """Mean specific gain in log-odds of the test items, 0 for those whose gate stays closed."""
    specific: tuple[float, ...]
    """Change of each test item's log-odds on its own prompt less the mean change of its answer on
    other prompts, gate held open, `[item]`."""
    shift: tuple[float, ...]
    """That mean change, `[item]`."""
    after: Outcomes
    """With every item amplified, gate held open."""


@dataclass(frozen=True)
class SearchedNull:
    """A claim among random rankings given the same search."""

    task: str
    items: TestItems
    claim: Found
    nulls: tuple[Found, ...]

    @cached_property
    def null_gains(self) -> Floats:
        """`[draw]`."""
        return np.array([null.gain for null in self.nulls])

    @property
    def p(self) -> float:
        """Share of the random rankings that gain as much, the claim counted in; never 0."""
        return rank_p(self.claim.gain, self.null_gains)

    @property
    def out_of_reach(self) -> int:
        """Random rankings that could not be made to push as far as the claim."""
        return sum(not null.push_reached for null in self.nulls)

    def p_of(self, statistic: Sequence[float]) -> float:
        """The same for another statistic: the claim's first, then one a draw."""
        return rank_p(statistic[0], np.asarray(statistic[1:]))


def rank_p(claim: float, nulls: Floats) -> float:
    """`(1 + #{null >= claim}) / (draws + 1)` (Phipson and Smyth 2010)."""
    return float((1 + np.sum(nulls >= claim)) / (len(nulls) + 1))


def kept_digits(values: Floats) -> tuple[float, ...]:
    """Numbers as a file keeps them."""
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)
