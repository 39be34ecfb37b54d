"""Neurons that carry the right answers of development items; see `sna_eval.neurons.attribution`.

The search reads these items' right answers, as learned methods do; the answers that are evaluated
it never sees.
"""

from __future__ import annotations

from typing import Any

from sna_eval.errors import InputError
from sna_eval.neurons.bench import Examples
from sna_eval.neurons.observed import Observed
from sna_eval.neurons.ranking import UNLABELLED, Ranked, Ranking, largest, smallest


def check_count(examples: Examples, top_k: int, d_mlp: int) -> None:
    """Raises `InputError` for more neurons than a layer has."""
    if top_k > d_mlp:
        raise InputError(
            "select.top_k", expected=f"at most {d_mlp}, the layer's neurons", got=top_k
        )


def _best(observed: Observed, layer: int, top_k: int, seed: int) -> Ranked:
    chosen = largest(observed.attribution[layer], top_k, positive_only=False)
    return Ranked({UNLABELLED: chosen})


def _last(observed: Observed, layer: int, top_k: int) -> Ranked:
    return Ranked({UNLABELLED: smallest(observed.attribution[layer], top_k)})


def _record(examples: Examples) -> dict[str, Any]:
    return {"answer_hash": examples.answer_hash, "n_answers": len(examples.questions)}


RANKING = Ranking(
    "attribution",
    "by the gradient of development items' right answers",
    _best,
    _last,
    check=check_count,
    record=_record,
    settings=(),
)
