"""Control: as many neurons of the same layer, drawn at random, matched in push.

Each stands in for one neuron that `sna` would choose; see `sna_eval.neurons.control`. Draws of
several seeds make a null distribution.
"""

from __future__ import annotations

from sna_eval.methods.method import Examples, Method, MethodConfig, Resolution, Workbench, searched
from sna_eval.neurons import stand_ins


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """One draw; the sets of several labels share no neuron, and none with any chosen one."""
    search = searched(bench, examples, wanted)
    chosen = search.best(wanted.layer, wanted.top_k).selected
    push, left_out = search.observed.push[wanted.layer], search.observed.left_out
    return Resolution(
        stand_ins(
            push, chosen, seed=wanted.options["seed"], left_out=left_out.get(wanted.layer, ())
        )
    )


METHOD = Method("random_neurons", find, options={"seed": 0}, needs_ranking=True)
