"""Attribution: neurons whose activations carry the right answer's log-probability.

The score of neuron `i` is `a[t, i] * d log P(target) / d a[t, i]`, summed over the tokens that
count and averaged over labelled prompts: to first order, how much the log-probability falls when
the neuron is taken away, or rises when it is doubled. This is the Taylor criterion of Molchanov et
al. (2017), arXiv:1611.06440, with its sign kept: they ask which units matter, we ask which ones
help. Which tokens count is as in `neurons.statistics`.

It looks at the right answers of the prompts it is given, so these must be development items.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention import Batch, Row, Sites
from sna_eval.intervention.devices import in_float64, input_device
from sna_eval.intervention.forward import scored_positions_only
from sna_eval.intervention.gradients import differentiable_neurons
from sna_eval.intervention.shards import whole_layer
from sna_eval.neurons.progress import SILENT, Progress
from sna_eval.neurons.statistics import Sinks, settled_sinks


def attribution_scores(
    model: nn.Module,
    sites: Sites,
    rows: Sequence[Row],
    *,
    layers: Sequence[int],
    sinks: Sinks = "drop",
    batch_size: int = 16,
    progress: Progress = SILENT,
) -> dict[int, torch.Tensor]:
    """Mean attribution of every neuron of the given layers.

    **Arguments:**

    - `rows`: prompts, each with its right continuation as the only branch. One that the model reads
        a single token of has nothing but position 0: it is left out beside longer ones, and where
        all are so, position 0 counts.
    - `layers`: block indices.
    - `sinks`: whether position 0 counts.
    - `batch_size`: prompts in one forward pass; the result does not depend on it.

    **Returns:** `{layer: [d_mlp]}` in float64, on the CPU. No gradient stays on the model.

    **Raises:** `InputError` where gradients overflow: what is no number would rank first.
    """
    if not rows:
        raise ValueError("attribution needs at least one prompt")
    assert all(len(row.branches) == 1 for row in rows), "one right continuation a row"
    sums = {layer: torch.zeros(sites.n_units, dtype=torch.float64) for layer in layers}
    first = 1 if settled_sinks(sinks, [[row.tokens for row in rows]]) == "drop" else 0
    ordered = sorted((row for row in rows if len(row) > first), key=len, reverse=True)
    device = input_device(model)
    for start in range(0, len(ordered), batch_size):
        batch = Batch(ordered[start : start + batch_size], device)
        for layer, scores in _summed(model, sites, batch, layers, first).items():
            sums[layer] += scores
        progress.read(len(batch.rows))
    found = {layer: total / len(ordered) for layer, total in sums.items()}
    for layer, scores in found.items():
        lost = int((~scores.isfinite()).sum())
        if lost:
            raise InputError(
                "select.method", expected="finite gradients for `attribution`",
                got=f"{lost} neurons of layer {layer} without",
                hint="load the model with dtype=float32 or bfloat16, or use `differential`",
            )  # fmt: skip
    return found


def _summed(
    model: nn.Module, sites: Sites, batch: Batch, layers: Sequence[int], first: int
) -> dict[int, torch.Tensor]:
    """Attribution of one batch, summed over prompts and their tokens from `first` on, by layer."""
    with torch.enable_grad(), differentiable_neurons(sites, layers) as activations:
        with scored_positions_only(model, batch) as pick:
            logits = pick(model(batch.input_ids, use_cache=False).logits).float()
        log_probs = torch.log_softmax(logits, dim=-1)
        target = log_probs[batch.reads.to(logits.device), batch.targets.to(logits.device)].sum()
        gradients = torch.autograd.grad(target, [activations[layer] for layer in layers])
    sums: dict[int, torch.Tensor] = {}
    for layer, gradient in zip(layers, gradients, strict=True):
        product = in_float64(activations[layer].detach()) * in_float64(gradient)
        by_row = product.reshape(len(batch.rows), -1, product.shape[-1])
        summed = by_row[:, first:].sum(dim=(0, 1))
        by_unit = sites.summed(summed)
        sums[layer] = whole_layer(sites.projections[layer], by_unit, sites.channels).cpu()
    return sums
