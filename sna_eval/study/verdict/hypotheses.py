"""Five hypotheses on arrays of per-item outcomes, one-sided, in a fixed order.

In a fixed order no correction for their number is needed: each is tested only where all before it
were shown, so the p-value of the k-th is the largest of the first k (Maurer, Hothorn and Lehmacher
1995; Westfall and Krishen 2001, Journal of Statistical Planning and Inference 99, 25-40).

A verdict is *shown* where that p-value is small enough, *excluded* where the whole interval lies
below the smallest effect of interest, else *undecided at this n*. Intervals have the confidence
`1 - 2 alpha`: their ends are one-sided bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom
from scipy.stats import t as student

from sna_eval.measuring.values import Floats
from sna_eval.study.nulls.records import rank_p
from sna_eval.study.statistics import (
    Interval,
    Reduce,
    clustered_stderr,
    holm,
    mean_of,
    paired_bootstrap,
    paired_permutation,
    upper_bound,
)
from sna_eval.study.verdict.registration import Limits

HYPOTHESES = ("H1", "H2", "H3", "H4", "H5")
Word = Literal["shown", "excluded", "undecided at this n"]
SHOWN: Word = "shown"
EXCLUDED: Word = "excluded"
UNDECIDED: Word = "undecided at this n"
PERMUTATIONS = 10_000
_BOOTSTRAPS = 4_000


@dataclass(frozen=True)
class Finding:
    """One hypothesis by itself; NaN where there is nothing to test it on."""

    estimate: float
    low: float
    high: float
    p: float
    """One-sided."""
    draws: int
    """Random rankings or exchanges behind `p`."""
    excluded: bool
    """Whether the interval leaves no room for the effect."""


@dataclass(frozen=True)
class Judged:
    """One hypothesis in its order."""

    estimate: float
    interval: tuple[float, float]
    p: float
    """The largest of its own p-value and those of the hypotheses before it."""
    draws: int
    verdict: Word


def over_random(
    claim: Floats, nulls: Floats, *, clusters: ArrayLike, limits: Limits, seed: int = 0
) -> Finding:
    """H1: mean gain of a claim over that of random rankings.

    **Arguments:**

    - `claim`: gain of each item, `[item]`.
    - `nulls`: the same of random rankings, `[draw, item]`.
    """
    expected = nulls.mean(axis=0)
    interval = _bootstrap(expected, claim, clusters=clusters, limits=limits, seed=seed)
    p = rank_p(float(claim.mean()), nulls.mean(axis=1))
    return _tested(float((claim - expected).mean()), interval, p, len(nulls), limits.smallest)


@dataclass(frozen=True)
class OverTasks:
    """H1 over all tasks at once."""

    estimate: float
    """Mean over tasks of a claim's gain less that of its random rankings."""
    p: float
    draws: int
    """Random rankings of each task: as low as `p` can be, `1 / (draws + 1)`."""


def over_tasks(claims: Floats, nulls: Floats) -> OverTasks:
    """The claims' mean gain over tasks among those of random rankings, one of every task each.

    Draws of equal number are taken together; as each is one more random ranking of its task, a
    claim's place among them is as likely as any where no ranking matters.

    **Arguments:**

    - `claims`: gains, `[task]`.
    - `nulls`: `[task, draw]`.
    """
    means = nulls.mean(axis=0)
    estimate = float(claims.mean() - means.mean())
    return OverTasks(estimate, rank_p(float(claims.mean()), means), len(means))


def zone_effect(
    claim: Floats,
    nulls: Floats,
    zones: Sequence[int],
    *,
    clusters: ArrayLike,
    limits: Limits,
    seed: int = 0,
) -> Finding:
    """H2: mean gain of zone 1 less that of zone 3, over the same of random rankings."""
    zone_of = np.asarray(zones)
    first, third = (zone_of == 1).astype(float), (zone_of == 3).astype(float)
    if not first.any() or not third.any():
        return _nothing(len(nulls))

    def contrast(values: Floats) -> Floats:
        return np.asarray(values @ first / first.sum() - values @ third / third.sum())

    def reduce(means: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):  # samples without a zone
            found = means[..., 0] / means[..., 1] - means[..., 2] / means[..., 3]
        return np.where(np.isfinite(found), found, 0.0)

    expected = nulls.mean(axis=0)
    columns = [
        np.stack([values * first, first, values * third, third], axis=1)
        for values in (expected, claim)
    ]
    interval = _bootstrap(*columns, clusters=clusters, limits=limits, seed=seed, reduce=reduce)
    statistic = contrast(nulls)
    p = rank_p(float(contrast(claim)), statistic)
    estimate = float(contrast(claim) - contrast(expected))
    return _tested(estimate, interval, p, len(nulls), limits.smallest)


def over_rival(
    claim: Floats, rival: Floats, *, clusters: ArrayLike, limits: Limits, seed: int = 0
) -> Finding:
    """H3 and H4: mean gain over that of one other intervention, items exchanged by clusters."""
    mean = float((claim - rival).mean())
    both = paired_permutation(rival, claim, clusters=clusters, draws=PERMUTATIONS, seed=seed)
    interval = _bootstrap(rival, claim, clusters=clusters, limits=limits, seed=seed)
    p = both / 2 if mean > 0 else 1 - both / 2
    return _tested(mean, interval, p, PERMUTATIONS, limits.smallest)


@dataclass(frozen=True)
class HarmData:
    """What H5 is judged by."""

    harmed: int
    """Confident right items that became wrong, gate held open."""
    confident: int
    """Confident right items."""
    loss_per_token: Floats
    """Rise of negative log-likelihood of each plain text, in nats a token, `[text]`."""
    repetition: Floats
    """Rise of the share of repeated trigrams of each generation, `[generation]`."""


def no_harm(data: HarmData, *, limits: Limits) -> Finding:
    """H5: all three kinds of harm lie below their limits; the worst of three p-values counts.

    The estimate and its interval are of the share of confident items (Clopper and Pearson).
    """
    if data.confident == 0:
        return _nothing(0)
    share = data.harmed / data.confident
    p_items = float(binom.cdf(data.harmed, data.confident, limits.harm))
    p_text = _below(data.loss_per_token, math.log1p(limits.perplexity))
    p_generations = _below(data.repetition, limits.repetition)
    confidence = 1 - limits.alpha
    high = upper_bound(data.harmed, data.confident, confidence=confidence)
    spared = data.confident - data.harmed
    low = 1 - upper_bound(spared, data.confident, confidence=confidence)
    return Finding(share, low, high, max(p_items, p_text, p_generations), 0, low > limits.harm)


def in_order(tested: Mapping[str, Finding]) -> dict[str, float]:
    """P-values of hypotheses in their order: the largest up to each; 1 where there is none."""
    found, largest = {}, 0.0
    for name in HYPOTHESES:
        p = tested[name].p
        largest = max(largest, p if math.isfinite(p) else 1.0)
        found[name] = largest
    return found


def judge(
    tasks: Mapping[str, Mapping[str, Finding]], *, alpha: float, correct: bool
) -> dict[str, dict[str, Judged]]:
    """Verdicts of all tasks.

    **Arguments:**

    - `tasks`: hypotheses of each task.
    - `correct`: whether p-values are adjusted over tasks, after Holm, before they count.
    """
    ordered = {name: in_order(tested) for name, tested in tasks.items()}
    counted = {
        hypothesis: dict(zip(tasks, _adjusted(ordered, hypothesis, correct=correct), strict=True))
        for hypothesis in HYPOTHESES
    }
    return {
        name: {
            hypothesis: Judged(
                finding.estimate,
                (finding.low, finding.high),
                ordered[name][hypothesis],
                finding.draws,
                SHOWN
                if counted[hypothesis][name] <= alpha
                else EXCLUDED
                if finding.excluded
                else UNDECIDED,
            )
            for hypothesis, finding in tested.items()
        }
        for name, tested in tasks.items()
    }


def _adjusted(
    ordered: Mapping[str, Mapping[str, float]], hypothesis: str, *, correct: bool
) -> list[float]:
    values = [of_task[hypothesis] for of_task in ordered.values()]
    return holm(values) if correct else values


def _below(values: Floats, bound: float) -> float:
    """P-value of a mean below a bound, by Student's t."""
    if len(values) < 2:
        return 1.0
    error = float(clustered_stderr(values))
    mean = float(values.mean())
    if error == 0.0:
        return 0.0 if mean < bound else 1.0
    return float(student.cdf((mean - bound) / error, len(values) - 1))


def _bootstrap(
    before: Floats,
    after: Floats,
    *,
    clusters: ArrayLike,
    limits: Limits,
    seed: int,
    reduce: Reduce = mean_of,
) -> Interval:
    return paired_bootstrap(
        before, after, reduce=reduce, clusters=clusters, confidence=1 - 2 * limits.alpha,
        draws=_BOOTSTRAPS, seed=seed,
    )  # fmt: skip


def _tested(estimate: float, interval: Interval, p: float, draws: int, smallest: float) -> Finding:
    return Finding(estimate, interval.low, interval.high, p, draws, interval.high < smallest)


def _nothing(draws: int) -> Finding:
    return Finding(math.nan, math.nan, math.nan, math.nan, draws, excluded=False)
