"""From log-likelihoods to the effect of one intervention on one subject."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sna_eval.measuring.subjects import Subject
from sna_eval.measuring.values import item_values, keep_baseline_where_not_finite
from sna_eval.study.interference.result import CrossEffect
from sna_eval.study.statistics import (
    cluster_codes,
    design_effect,
    log_odds,
    paired_bootstrap,
    paired_permutation,
)

Floats = NDArray[np.float64]

_MOST_NATS = 700.0
"""Per token: what lies beyond is no longer told apart, and every perplexity stays finite."""


def effects(
    subject: Subject, names: Sequence[str], scores: Floats, *, draws: int, seed: int = 0
) -> list[CrossEffect]:
    """One effect for each intervention.

    **Arguments:**

    - `names`: of the interventions.
    - `scores`: `[1 + intervention, request]`, the unmodified model's first.
    - `draws`: bootstrap samples and permutations.
    """
    return [
        _effect(subject, name, scores[0], values, draws=draws, seed=seed)
        for name, values in zip(names, scores[1:], strict=True)
    ]


def perplexity(means: Floats) -> Floats:
    """Per token, from means over texts of log-likelihood and tokens, `[..., 2]`."""
    return np.exp(-means[..., 0] / means[..., 1])


def _effect(
    subject: Subject, name: str, before: Floats, after: Floats, *, draws: int, seed: int
) -> CrossEffect:
    if subject.items is None:
        return _text_effect(subject, name, before, after, draws=draws, seed=seed)
    kept = keep_baseline_where_not_finite(subject.items, after[None], before)[0]
    old, new = item_values(subject.items, before), item_values(subject.items, kept)
    clusters = cluster_codes(subject.items.clusters)
    interval = paired_bootstrap(old.prob, new.prob, clusters=clusters, draws=draws, seed=seed)
    return CrossEffect(
        intervention=name,
        subject=subject.name,
        n_items=len(old.prob),
        before=float(old.prob.mean()),
        after=float(new.prob.mean()),
        low=interval.low,
        high=interval.high,
        p=paired_permutation(old.prob, new.prob, clusters=clusters, draws=draws, seed=seed),
        n_clusters=int(clusters.max()) + 1,
        design_effect=_known(design_effect(new.prob - old.prob, clusters)),
        log_odds_before=_mean_log_odds(old.prob),
        log_odds_after=_mean_log_odds(new.prob),
        acc_before=None if old.correct is None else float(old.correct.mean()),
        acc_after=None if new.correct is None else float(new.correct.mean()),
    )


def _mean_log_odds(prob: Floats) -> float:
    return float(log_odds(np.log(np.maximum(prob, np.finfo(np.float64).tiny))).mean())


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _text_effect(
    subject: Subject, name: str, before: Floats, after: Floats, *, draws: int, seed: int
) -> CrossEffect:
    old, new = (_texts(subject, scores) for scores in (before, after))
    interval = paired_bootstrap(old, new, reduce=perplexity, draws=draws, seed=seed)
    return CrossEffect(
        intervention=name,
        subject=subject.name,
        n_items=len(old),
        before=float(perplexity(old.mean(axis=0))),
        after=float(perplexity(new.mean(axis=0))),
        low=interval.low,
        high=interval.high,
        p=paired_permutation(old, new, reduce=perplexity, draws=draws, seed=seed),
    )


def _texts(subject: Subject, scores: Floats) -> Floats:
    """Log-likelihood and tokens of each text, `[text, 2]`; e^-700 a token at least."""
    assert subject.text_of is not None
    assert subject.tokens is not None
    sums = [np.bincount(subject.text_of, weights) for weights in (scores, subject.tokens)]
    table = np.stack(sums, axis=1).astype(np.float64)
    table[:, 0] = np.maximum(table[:, 0], -_MOST_NATS * table[:, 1])
    return table[table[:, 1] > 0]
