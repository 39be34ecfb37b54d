"""Neurons that lift right answers over the other choices; see `sna_eval.neurons.attribution`.

As `attribution` does, the search reads the right answers of development items, and no others.
"""

from __future__ import annotations

from typing import Any

from sna_eval.neurons.bench import Examples
from sna_eval.neurons.observed import Observed
from sna_eval.neurons.ranking import UNLABELLED, Ranked, Ranking, largest, smallest
from sna_eval.neurons.rankings.attribution import check_count


def _best(observed: Observed, layer: int, top_k: int, seed: int) -> Ranked:
    chosen = largest(observed.gradient[layer], top_k, positive_only=False)
    return Ranked({UNLABELLED: chosen})


def _last(observed: Observed, layer: int, top_k: int) -> Ranked:
    return Ranked({UNLABELLED: smallest(observed.gradient[layer], top_k)})


def _record(examples: Examples) -> dict[str, Any]:
    """Position 0 counts whatever `sinks` says: amplification acts there too."""
    return {
        "answer_hash": examples.choices_hash,
        "n_answers": len(examples.questions),
        "sinks": "keep",
    }


RANKING = Ranking(
    "gradient",
    "by the slope of right answers' log-odds, as a screen predicts it",
    _best,
    _last,
    check=check_count,
    record=_record,
    settings=(),
)
