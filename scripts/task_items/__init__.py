"""Candidate items of the bundled tasks: one module per domain, one pool per task.

Pools are deterministic. The bundled model's training text is written from `CANDIDATES`, less what
is left out of it (`selection.py`); `FURTHER` items never stood in it. `build_tasks.py` selects from
both. Nothing here is copied from a data set.
"""

from __future__ import annotations

from collections.abc import Callable

from .ambiguous import ambiguous_items
from .arithmetic import (
    further_one_digit_sums,
    further_products_and_two_steps,
    further_two_digit_sums,
    one_digit_sums,
    products_and_two_steps,
    two_digit_sums,
)
from .coding import (
    further_idioms,
    further_semantics,
    further_syntax,
    idioms,
    semantics,
    syntax,
)
from .item import Item
from .logic import (
    further_modus_ponens,
    further_negation_and_steps,
    further_syllogisms,
    modus_ponens,
    negation_and_steps,
    syllogisms,
)
from .poetry import further_metaphors, metaphors, rhymes, similes

__all__ = ["CANDIDATES", "FURTHER", "Item", "ambiguous_items"]

CANDIDATES: dict[str, Callable[[], list[Item]]] = {
    "math_easy": one_digit_sums,
    "math_medium": two_digit_sums,
    "math_hard": products_and_two_steps,
    "poetry_easy": rhymes,
    "poetry_medium": similes,
    "poetry_hard": metaphors,
    "coding_easy": syntax,
    "coding_medium": idioms,
    "coding_hard": semantics,
    "logic_easy": modus_ponens,
    "logic_medium": syllogisms,
    "logic_hard": negation_and_steps,
}

FURTHER: dict[str, Callable[[], list[Item]]] = {
    "math_easy": further_one_digit_sums,
    "math_medium": further_two_digit_sums,
    "math_hard": further_products_and_two_steps,
    "poetry_easy": list,
    "poetry_medium": list,
    "poetry_hard": further_metaphors,
    "coding_easy": further_syntax,
    "coding_medium": further_idioms,
    "coding_hard": further_semantics,
    "logic_easy": further_modus_ponens,
    "logic_medium": further_syllogisms,
    "logic_hard": further_negation_and_steps,
}
