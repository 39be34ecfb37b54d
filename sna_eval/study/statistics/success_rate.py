"""Success rate: the share of configurations that improve at all (Akhtar 2026, section 3.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def success_rate(improvements: ArrayLike) -> float:
    """Share of `improvements`, `[configuration]`, above 0; NaN without any."""
    values = np.asarray(improvements, dtype=np.float64)
    return float(np.mean(values > 0)) if values.size else float("nan")
