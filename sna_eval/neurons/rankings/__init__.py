"""Rankings of neurons, one file each: `RANKING`, and the formula beside it.

A file that is added here is a ranking that plans, sweeps and the app can name; nothing else lists
them.
"""

from __future__ import annotations

from sna_eval.neurons.ranking import Ranking
from sna_eval.registry import Registry, registered

USUAL = "differential"
"""The ranking that is meant where none is named."""


def _in_order(ranking: Ranking) -> tuple[bool, str]:
    """The usual one comes first."""
    return (ranking.name != USUAL, ranking.name)


RANKINGS: Registry[Ranking] = Registry(
    sorted(registered(__name__, "RANKING"), key=_in_order), field="select.method"
)
