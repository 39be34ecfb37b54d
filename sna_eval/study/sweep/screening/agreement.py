"""How well predicted effects hold against measured ones, per multiplier.

Held against a random sample: configurations that were measured for what they promise are all alike,
and a correlation among them says little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from sna_eval.study.sweep.store import SweepStore

HELD = 0.8
"""Rank correlation below which a multiplier's predictions are said not to hold."""
_FEWEST = 3
"""Configurations of which a rank correlation can say anything."""


@dataclass(frozen=True)
class Agreement:
    """How well the predictions of one multiplier held."""

    multiplier: float
    n: int
    """Configurations that were drawn and measured."""
    rank_correlation: float | None
    """Spearman's, of mean effects; `None` for fewer than three, or effects that are all equal."""
    same_sign: float | None
    """Share of configurations whose effect has the predicted sign."""

    @property
    def held(self) -> bool:
        """Whether predictions order this multiplier's configurations."""
        return self.rank_correlation is not None and self.rank_correlation >= HELD


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
        places = multipliers == multiplier
        found.append(_agreement(multiplier, measured[places], predicted[places]))
    return found


def not_held(found: Sequence[Agreement]) -> tuple[float, ...]:
    """The multipliers whose predictions did not hold."""
    return tuple(one.multiplier for one in found if not one.held)


def _agreement(
    multiplier: float, measured: NDArray[np.float64], predicted: NDArray[np.float64]
) -> Agreement:
    n = len(measured)
    same = float(np.mean(np.sign(measured) == np.sign(predicted))) if n else None
    constant = n < _FEWEST or np.ptp(measured) == 0 or np.ptp(predicted) == 0
    correlation = None if constant else float(spearmanr(measured, predicted)[0])
    return Agreement(multiplier, n, correlation, same)


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
        failed = [f"x{one.multiplier:g} ({_spoken(one)})" for one in found if not one.held]
        said = f"predictions do not hold at {', '.join(failed)}" if failed else "predictions hold"
        lines.append(f"{task}: {said}")
    return "\n".join(lines)


def _spoken(agreement: Agreement) -> str:
    if agreement.rank_correlation is None:
        return f"{agreement.n} measured"
    return f"rank correlation {agreement.rank_correlation:.2f}"
