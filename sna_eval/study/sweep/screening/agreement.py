"""How well predicted effects hold against measured ones, per multiplier.

Held against a random sample: configurations that were measured for what they promise are all alike,
and a correlation among them says little. A multiplier has four of it, whose correlation is noise:
it borrows those of the multipliers beside it, each effect taken per step `m - 1`, which a
prediction is linear in. What is said rests on the interval of the correlation (Spearman's, by
Fisher's transformation with the variance of Bonett and Wright 2000, *Psychometrika* 65:23), so that
chance alone calls predictions failed that correlate by `HELD` one time in twenty. Sixteen of a true
correlation of 0.3 are found out four times in five.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr

from sna_eval.study.sweep.store import SweepStore

HELD = 0.8
"""Rank correlation from which a multiplier's predictions are said to hold."""
CONFIDENCE = 0.9
"""Of the interval; each end errs half as often as both."""
_POOLED = 16
"""Configurations that a correlation is of, where the sample has as many."""
_FEWEST = 4
"""Configurations of which a rank correlation has an interval."""
_LARGEST = 0.999
"""Correlation that a perfect one counts as: no sample shows that there is no exception."""


@dataclass(frozen=True)
class Agreement:
    """How well the predictions of one multiplier held."""

    multiplier: float
    n: int
    """Configurations that were drawn and measured."""
    same_sign: float | None
    """Share of them whose effect has the predicted sign."""
    pooled: int
    """Configurations that the correlation is of: these, and those of multipliers beside it."""
    rank_correlation: float | None
    """Spearman's, of mean effects per step; `None` for fewer than four, or effects that are all
    equal."""
    interval: tuple[float, float] | None
    """Of the correlation, at `CONFIDENCE`."""

    @property
    def held(self) -> bool | None:
        """Whether predictions order this multiplier's configurations; `None` where the sample does
        not tell."""
        if self.interval is None:
            return None
        low, high = self.interval
        return True if low >= HELD else False if high < HELD else None


def agreements(
    multipliers: NDArray[np.float64],
    measured: NDArray[np.float64],
    predicted: NDArray[np.float64],
) -> list[Agreement]:
    """One entry a multiplier, in order.

    **Arguments:** of the drawn configurations, each `[configuration]`: their multiplier, and mean
    effects over items.
    """
    found = []
    for multiplier in sorted(set(multipliers.tolist())):
        own, pooled = multipliers == multiplier, _beside(multipliers, multiplier)
        steps = multipliers[pooled] - 1.0
        same = float(np.mean(np.sign(measured[own]) == np.sign(predicted[own])))
        correlation = _correlation(measured[pooled] / steps, predicted[pooled] / steps)
        interval = None if correlation is None else _interval(correlation, len(pooled))
        found.append(
            Agreement(multiplier, int(own.sum()), same, len(pooled), correlation, interval)
        )
    return found


def not_held(found: Sequence[Agreement]) -> tuple[float, ...]:
    """The multipliers whose predictions did not hold."""
    return tuple(one.multiplier for one in found if one.held is False)


def _beside(multipliers: NDArray[np.float64], multiplier: float) -> NDArray[np.intp]:
    """Places of the configurations of a multiplier and of those nearest to it, whole multipliers,
    until there are enough; none at 1, where there is no step."""
    steps = sorted(
        {other for other in multipliers.tolist() if other != 1.0},
        key=lambda other: (abs(other - multiplier), other),
    )
    places = np.empty(0, dtype=np.intp)
    for other in steps if multiplier != 1.0 else ():
        if len(places) < _POOLED:
            places = np.concatenate([places, np.flatnonzero(multipliers == other)])
    return places


def _correlation(measured: NDArray[np.float64], predicted: NDArray[np.float64]) -> float | None:
    if len(measured) < _FEWEST or np.ptp(measured) == 0 or np.ptp(predicted) == 0:
        return None
    return float(spearmanr(measured, predicted)[0])


def _interval(correlation: float, n: int) -> tuple[float, float]:
    """Bonett and Wright (2000), formula 3."""
    center = math.atanh(max(-_LARGEST, min(_LARGEST, correlation)))
    error = math.sqrt((1 + correlation**2 / 2) / (n - 3))
    reach = float(norm.ppf((1 + CONFIDENCE) / 2)) * error
    return math.tanh(center - reach), math.tanh(center + reach)


def store_agreements(store: SweepStore) -> dict[str, list[Agreement]]:
    """Per task and multiplier, on the configurations that chance chose; empty where none was."""
    table = store.configurations().to_pandas()
    sample = table[table["drawn"] & table["predicted_prob"].notna()]
    return {
        str(task): agreements(
            rows["multiplier"].to_numpy(),
            (rows["amplified_prob"] - rows["baseline_prob"]).to_numpy(),
            (rows["predicted_prob"] - rows["baseline_prob"]).to_numpy(),
        )
        for task, rows in sample.groupby("task", sort=False)
    }


def screen_text(store: SweepStore) -> str:
    """What was measured, and where predictions held, in lines."""
    every = store.configurations(predicted=True)
    measured = store.configurations().num_rows
    lines = [f"measured {measured:,} of {every.num_rows:,}; the rest is predicted"]
    for task, found in store_agreements(store).items():
        lines.append(f"{task}: predictions {held_text(found)}")
    return "\n".join(lines)


def held_text(found: Sequence[Agreement]) -> str:
    """Where predictions hold, where not, and where the sample does not tell."""
    said = []
    for verdict, words in (
        (False, "do not hold at {}"), (None, "may or may not hold at {}"), (True, "hold at {}"),
    ):  # fmt: skip
        these = [one for one in found if one.held is verdict]
        if len(these) == len(found) and verdict:
            return "hold"
        if these:
            spoken = [
                _spoken(one) if verdict is not True else f"x{one.multiplier:g}" for one in these
            ]
            said.append(words.format(", ".join(spoken)))
    return "; ".join(said)


def _spoken(agreement: Agreement) -> str:
    name = f"x{agreement.multiplier:g}"
    if agreement.rank_correlation is None or agreement.interval is None:
        return f"{name} ({agreement.pooled} measured)"
    low, high = agreement.interval
    return f"{name} (rank correlation {agreement.rank_correlation:.2f}, {low:.2f} to {high:.2f})"
