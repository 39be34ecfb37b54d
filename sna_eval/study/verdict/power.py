"""What the test of H1 can find, simulated before any test item is scored.

Random rankings were searched on development items; their gains there have some mean and spread. A
claim that is better by `effect` is drawn from a normal distribution of the same spread, shifted by
it, and ranked among `draws` such random ones, over and over. The spread is taken as it is on the
development items, which are fewer than test items: what comes out errs on the low side.
"""

from __future__ import annotations

import math

import numpy as np

from sna_eval.measuring.values import Floats
from sna_eval.study.verdict.registration import Power

REPETITIONS = 4_000
WANTED = 0.8


def simulated_power(
    gains: Floats, *, draws: int, level: float, smallest: float, seed: int = 0
) -> Power:
    """Power for one task.

    **Arguments:**

    - `gains`: of two random rankings or more on development items, `[draw]`.
    - `draws`: random rankings that the test will have.
    - `level`: largest p-value that counts.
    - `smallest`: smallest effect of interest.
    """
    spread = float(np.std(gains, ddof=1))
    margins = _margins(draws, level, seed)
    if margins is None:
        return Power(_kept(spread), 0.0, None)
    shown = float(np.mean(margins * spread < smallest))
    return Power(_kept(spread), shown, _kept(float(np.quantile(margins, WANTED)) * spread))


def allowed(draws: int, level: float) -> int:
    """Random rankings that may gain as much as a claim that is shown; -1: the draws allow none."""
    return math.floor(level * (draws + 1) * (1 + 1e-12)) - 1


def _margins(draws: int, level: float, seed: int) -> Floats | None:
    """Effects, in spreads, from which each simulated test shows something, `[repetition]`."""
    beaten_by = allowed(draws, level)
    if beaten_by < 0:
        return None
    generator = np.random.default_rng(seed)
    nulls = generator.standard_normal((REPETITIONS, draws))
    claims = generator.standard_normal(REPETITIONS)
    barrier = np.partition(nulls, draws - 1 - beaten_by, axis=1)[:, draws - 1 - beaten_by]
    return np.asarray(barrier - claims)


def _kept(value: float) -> float:
    return float(f"{value:.4g}")
