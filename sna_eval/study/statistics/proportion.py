"""How large a share may be when few or none were seen.

The one-sided upper bound of Clopper and Pearson (1934), Biometrika 26, 404-413: the share at which
so few cases or fewer would come up with probability `1 - confidence` only. None among 45 items
leaves room for 6.4 %; "zero harm" is a statement about 45 items.
"""

from __future__ import annotations

import math

from scipy.stats import beta


def upper_bound(cases: int, items: int, *, confidence: float = 0.95) -> float:
    """The bound for `cases` among `items`; NaN without items."""
    if items == 0:
        return math.nan
    if cases == items:
        return 1.0
    return float(beta.ppf(confidence, cases + 1, items - cases))
