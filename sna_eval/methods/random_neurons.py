"""Control: as many neurons of the same layer, drawn at random, matched in mean activation.

Each stands in for one neuron that `sna` would choose; see `sna_eval.neurons.control`. Draws of
several seeds make a null distribution.
"""

from __future__ import annotations

from sna_eval.methods.method import Method
from sna_eval.methods.resolution import Examples, Resolution, Wanted, Workbench
from sna_eval.methods.sna import find as find_sna
from sna_eval.methods.stand_ins import stand_ins


def find(bench: Workbench, examples: Examples, wanted: Wanted) -> Resolution:
    """One draw; the sets of several labels share no neuron, and none with any chosen one."""
    chosen = find_sna(bench, examples, wanted).selected
    return Resolution(
        stand_ins(
            bench, examples, chosen,
            layer=wanted.layer, pooling=wanted.pooling, seed=wanted.options["seed"],
        )
    )  # fmt: skip


METHOD = Method("random_neurons", find, options={"seed": 0}, needs_ranking=True)
