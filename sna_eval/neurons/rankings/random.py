"""Control: neurons drawn at random, none of those that `differential` takes, alike in push.

Each stands in for one of them; see `sna_eval.neurons.control`. Of equal seeds, this draw and that
of the method `random_neurons` are the same.
"""

from __future__ import annotations

from sna_eval.neurons.control import stand_ins
from sna_eval.neurons.observed import Observed
from sna_eval.neurons.ranking import UNLABELLED, Ranked, Ranking
from sna_eval.neurons.rankings.differential import against_neutral


def _best(observed: Observed, layer: int, top_k: int, seed: int) -> Ranked:
    left_out = observed.left_out.get(layer, ())
    ranked = against_neutral(observed, layer, top_k + len(left_out))
    chosen = {UNLABELLED: ranked.without(left_out).first(top_k)}
    return Ranked(stand_ins(observed.push[layer], chosen, seed=seed, left_out=left_out))


RANKING = Ranking(
    "random",
    "a control, alike in push to the differential neurons",
    _best,
    settings=("reference", "pooling", "seed"),
    ends=2,
)
