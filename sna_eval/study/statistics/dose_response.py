"""Dose and response: does more amplification do more, and in which zone?

A gain at one multiplier may be luck; one that grows with the dose is harder to explain away (Hill
1965, Proceedings of the Royal Society of Medicine 58, 295-300). Per zone, each item's effects are
regressed on the dose, through no effect at dose 0, `b_i = sum_d d x_di / sum_d d^2`; the trend is
the mean of `b_i`, with the interval that `clusters` allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from sna_eval.study.statistics.clusters import Floats, check_clusters, clustered_stderr
from sna_eval.study.statistics.sampling import Interval


@dataclass(frozen=True)
class DoseResponse:
    """One zone's response."""

    zone: int
    n_items: int
    doses: tuple[float, ...]
    effects: tuple[float, ...]
    """Mean effect at each dose."""
    trend: float
    """Mean effect per unit of dose."""
    interval: Interval
    """NaN for fewer than two clusters."""


def dose_response(
    doses: Sequence[float],
    effects: ArrayLike,
    zones: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> tuple[DoseResponse, ...]:
    """The response of every zone that has items.

    **Arguments:**

    - `doses`: such as the logarithms of multipliers, `[dose]`; 0 is no amplification.
    - `effects`: change of log-odds, say, `[dose, item]`.
    - `zones`: `[item]`.
    """
    by_dose = np.asarray(effects, dtype=np.float64)
    dose = np.asarray(doses, dtype=np.float64)
    if by_dose.ndim != 2 or len(dose) != len(by_dose) or not dose.any():
        raise ValueError(f"expected effects of {len(dose)} doses that are not all 0")
    codes, where = check_clusters(clusters, by_dose.shape[1]), np.asarray(zones)
    slopes = dose @ by_dose / (dose @ dose)

    def response(zone: int) -> DoseResponse:
        kept = where == zone
        reached = _reach(slopes[kept], codes[kept], confidence)
        trend = float(slopes[kept].mean())
        interval = Interval(trend - reached, trend + reached)
        means = tuple(map(float, by_dose[:, kept].mean(axis=1)))
        return DoseResponse(zone, int(kept.sum()), tuple(map(float, doses)), means, trend, interval)

    return tuple(response(int(zone)) for zone in np.unique(where))


def _reach(values: Floats, clusters: ArrayLike, confidence: float) -> float:
    freedom = len(np.unique(np.asarray(clusters))) - 1
    if freedom < 1:
        return float("nan")
    quantile = float(student.ppf((1 + confidence) / 2, freedom))
    return quantile * float(clustered_stderr(values, clusters))
