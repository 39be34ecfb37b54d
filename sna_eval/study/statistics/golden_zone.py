"""Golden zone count: configurations that improve by more than 10 % (Akhtar 2026, section 3.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

THRESHOLD = 10.0
"""Percent."""


def golden_zone_count(improvements: ArrayLike) -> int:
    """How many of `improvements` in percent, `[configuration]`, exceed the threshold."""
    return int(np.sum(np.asarray(improvements, dtype=np.float64) > THRESHOLD))
