"""Neurons that carry the right answers of development items; see `sna_eval.neurons.attribution`.

The search reads these items' right answers, as learned methods do; the answers that are evaluated
it never sees.
"""

from __future__ import annotations

import torch

from sna_eval.errors import InputError
from sna_eval.methods.fitting import frozen
from sna_eval.methods.resolution import Examples, Resolution, Workbench
from sna_eval.neurons import attribution, attribution_scores


def find_attribution(bench: Workbench, examples: Examples, *, layer: int, top_k: int) -> Resolution:
    """The neurons of the largest attribution. Remarks hold `n_answers`, the items with answers."""
    if top_k > bench.sites.d_mlp:
        raise InputError(
            "select.top_k", expected=f"at most {bench.sites.d_mlp}, the layer's neurons", got=top_k
        )
    scores = answer_attribution(bench, examples, layer)
    remarks = {"n_answers": len(examples.questions)}
    return Resolution({"": attribution(scores, top_k=top_k)}, remarks)


def answer_attribution(bench: Workbench, examples: Examples, layer: int) -> torch.Tensor:
    """Mean attribution of a layer's neurons over development items, `[d_mlp]`.

    **Raises:** `InputError` for a task that is not scored by log-likelihood, and where gradients
    overflow.
    """
    if not examples.questions:
        raise InputError(
            "select.method", expected="a task scored by log-likelihood for `attribution`",
            got="development items without right answers", hint="use `differential`",
        )  # fmt: skip
    rows = [bench.answered_row(own) for own in examples.questions]
    with frozen(bench.model):  # the graph then begins at the layer: less memory
        return attribution_scores(
            bench.model, bench.sites, rows, layers=[layer], batch_size=bench.batch_size
        )[layer]
