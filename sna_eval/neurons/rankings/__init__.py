"""Rankings of neurons, one file each: `RANKING`, and the formula beside it.

A file that is added here is a ranking that plans, sweeps and the app can name; nothing else lists
them.
"""

from __future__ import annotations

from sna_eval.neurons.ranking import Ranking
from sna_eval.registry import lookup, registered

USUAL = "differential"
"""The ranking that is meant where none is named."""


def _in_order(ranking: Ranking) -> tuple[bool, str]:
    """The usual one comes first."""
    return (ranking.name != USUAL, ranking.name)


RANKINGS: dict[str, Ranking] = {
    ranking.name: ranking for ranking in sorted(registered(__name__, "RANKING"), key=_in_order)
}


def find_ranking(name: str, *, field: str = "select.method") -> Ranking:
    """A ranking by its name.

    **Raises:** `InputError` that lists the rankings.
    """
    return lookup(RANKINGS, name, field=field)
