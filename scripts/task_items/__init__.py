"""Candidate items of the bundled tasks: one module per domain, one pool per task.

Pools are deterministic and hold more items than a task needs; `build_tasks.py` selects from them,
and the training text of the bundled model is written from what is left. Nothing here is copied
from a data set.
"""

from __future__ import annotations

from collections.abc import Callable

from .arithmetic import one_digit_sums, products_and_two_steps, two_digit_sums
from .coding import idioms, semantics, syntax
from .item import Item
from .logic import modus_ponens, negation_and_steps, syllogisms
from .poetry import metaphors, rhymes, similes
from .transition import transition_candidates

__all__ = ["CANDIDATES", "Item", "transition_candidates"]

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
