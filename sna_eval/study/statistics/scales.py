"""One effect on every scale: what is a large gain on one may be none on another.

Of the distribution over outcomes (the next token's vocabulary, or an item's choices) with right
outcome `g`:

- probability `P_g`, and negative log-likelihood `-log P_g`;
- log-odds `log P_g / (1 - P_g)`, which neither end of the scale squeezes;
- margin `log P_g` less that of the likeliest rival, and rank, 1 for the likeliest;
- accuracy: whether the likeliest outcome is `g`;
- Brier score `sum_o (P_o - [o = g])^2` (Brier 1950, Monthly Weather Review 78, 1-3);
- expected calibration error: over bins of the largest probability, the mean distance of accuracy
  from confidence, weighted by size (Guo et al. 2017, ICML). It is above 0 by chance alone where
  bins are small, for both models alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from sna_eval.study.statistics.clusters import Floats
from sna_eval.study.statistics.paired_bootstrap import paired_bootstrap
from sna_eval.study.statistics.paired_permutation import paired_permutation
from sna_eval.study.statistics.sampling import Interval, Reduce, mean_of

BINS = 10
"""Of equal width, of the calibration error."""


@dataclass(frozen=True, eq=False)
class ItemScales:
    """Every item on every scale, `[..., item]`; `None` where only the right outcome is known."""

    prob: Floats
    log_odds: Floats
    nll: Floats
    margin: Floats | None = None
    rank: Floats | None = None
    accuracy: Floats | None = None
    """1 right, 0 wrong."""
    brier: Floats | None = None
    confidence: Floats | None = None
    """Of the likeliest outcome; what the calibration error is made of."""


def item_scales(log_probs: ArrayLike, gold: ArrayLike) -> ItemScales:
    """All scales, from a whole distribution.

    **Arguments:**

    - `log_probs`: `[..., item, outcome]`; `-inf` for an outcome that an item does not have. They
      are taken as they are: normalize the choices of an item first.
    - `gold`: number of the right outcome, `[item]`.
    """
    offered = np.asarray(log_probs, dtype=np.float64)
    right = np.asarray(gold, dtype=np.int64)[:, None]
    where = np.arange(offered.shape[-1]) == right
    log_p = np.where(where, offered, -np.inf).max(axis=-1)
    rivals = np.where(where, -np.inf, offered)
    best = rivals.max(axis=-1)
    probs = np.exp(offered)
    return ItemScales(
        prob=np.exp(log_p),
        log_odds=log_p - logsumexp(rivals, axis=-1),
        nll=-log_p,
        margin=log_p - best,
        rank=1.0 + (rivals > log_p[..., None]).sum(axis=-1),
        accuracy=(offered.argmax(axis=-1) == right[:, 0]).astype(np.float64),
        brier=((probs - where) ** 2).sum(axis=-1),
        confidence=probs.max(axis=-1),
    )


def target_scales(log_p: ArrayLike, accuracy: ArrayLike | None = None) -> ItemScales:
    """The scales that the right outcome's own log-probability, `[..., item]`, leads to."""
    target = np.asarray(log_p, dtype=np.float64)
    right = None if accuracy is None else np.asarray(accuracy, dtype=np.float64)
    return ItemScales(np.exp(target), log_odds(target), -target, accuracy=right)


def log_odds(log_p: ArrayLike) -> Floats:
    """`log P / (1 - P)` from `log P`, exact where P is next to 0 or 1."""
    below_one = np.minimum(np.asarray(log_p, dtype=np.float64), -1e-16)
    return np.asarray(below_one - np.log(-np.expm1(below_one)))


def calibration_columns(confidence: Floats, accuracy: Floats, *, bins: int = BINS) -> Floats:
    """Accuracy less confidence in the column of each item's bin, `[item, bin]`.

    The calibration error is the sum of the absolute column means, so it is drawn and exchanged like
    any other statistic of means.
    """
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return np.where(place[:, None] == np.arange(bins), (accuracy - confidence)[:, None], 0.0)


def calibration_error(confidence: ArrayLike, accuracy: ArrayLike, *, bins: int = BINS) -> float:
    """Expected calibration error of items, `[item]` each."""
    arrays = np.asarray(confidence, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    return float(_summed(calibration_columns(*arrays, bins=bins).mean(axis=0)))


@dataclass(frozen=True)
class ScaleChange:
    """The effect on one scale."""

    scale: str
    before: float
    after: float
    interval: Interval
    """Of the difference."""
    p: float
    """Two-sided, by exchange within pairs."""

    @property
    def difference(self) -> float:
        return self.after - self.before


def scale_panel(
    before: ItemScales,
    after: ItemScales,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = 2_000,
    seed: int = 0,
) -> tuple[ScaleChange, ...]:
    """The change from one model to another on every scale that both have, `[item]` each.

    An item whose value is infinite on a scale (a probability of 0 or 1) leaves that scale alone.
    """

    def change(name: str, one: Floats, other: Floats, reduce: Reduce) -> Iterator[ScaleChange]:
        known = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
        if not known.any():
            return
        groups = None if clusters is None else np.asarray(clusters)[known]
        one, other = one[known], other[known]
        interval = paired_bootstrap(
            one,
            other,
            reduce=reduce,
            clusters=groups,
            confidence=confidence,
            draws=draws,
            seed=seed,
        )
        p = paired_permutation(one, other, reduce=reduce, clusters=groups, draws=draws, seed=seed)
        first, second = (float(reduce(side.mean(axis=0))) for side in (one, other))
        yield ScaleChange(name, first, second, interval, p)

    found: list[ScaleChange] = []
    for field in fields(ItemScales):
        one, other = getattr(before, field.name), getattr(after, field.name)
        if field.name != "confidence" and one is not None and other is not None:
            found += change(field.name, one[:, None], other[:, None], mean_of)
    both = [
        calibration_columns(side.confidence, side.accuracy)
        for side in (before, after)
        if side.confidence is not None and side.accuracy is not None
    ]
    if len(both) == 2:
        found += change("calibration error", both[0], both[1], _summed)
    return tuple(found)


def _summed(means: Floats) -> Floats:
    return np.asarray(np.abs(means).sum(axis=-1))
