"""Reading nested mappings whose parts may be missing or be something else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sna_eval.typed import Json


def mapping(values: Json, *keys: str) -> Json:
    """The mapping at the end of `keys`; empty where there is none."""
    found: Any = values
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def finite(value: Any) -> float | None:
    """A number as such; `None` for NaN, infinities, flags, words like "N/A" and nothing."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return number if math.isfinite(number) else None


def text(value: Any) -> str | None:
    """A value as one comparable text; `None` stays."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, default=str)
