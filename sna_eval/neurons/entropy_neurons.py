"""Entropy neurons: those that write where the unembedding hardly reads.

Source: Stolfo et al. (2024), arXiv:2406.16254, sections 3 and 4. Such a neuron has large output
weights and little direct effect on any logit; it lengthens the residual stream, the final norm
then shrinks everything else, and the distribution flattens or sharpens. An amplification that moves
confidence alone would be one of these neurons. For each neuron with output weights `w`:

- `null_share` (the paper's rho): `|V0^T w| / |w|`, `V0` the `k` right singular vectors of the
  unembedding with the smallest singular values; `k` is 1 % of the width of the stream, as in the
  paper's larger models. A random direction has about `sqrt(k / d_model)`.
- `logit_variance`: the variance, over tokens, of the cosine between `w` and the token's row.

The paper reads its neurons off a scatter plot; here a neuron counts as one if its null share is at
least `threshold` and its norm at least the layer's median. The final norm's gain is folded into the
unembedding, and where that norm takes out the mean, so is it from `w`.

A head writes in as many directions as it has channels. Its figures are means over these, weighted
by their squared lengths, the norm and the null share as root mean squares: what holds of its output
where that lies in all of them alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention import Sites
from sna_eval.intervention.stream import find_unembedding, writing_weights

THRESHOLD = 0.5
_CHUNK = 8192  # tokens whose cosines are held at once


@dataclass(frozen=True, eq=False)
class WritingStatistics:
    """Where a layer's neurons, heads or features write, each `[n_units]`, float64."""

    layer: int
    norms: torch.Tensor
    null_share: torch.Tensor
    logit_variance: torch.Tensor
    null_dimensions: int
    """Singular directions that count as unread."""

    def entropy_neurons(self, *, threshold: float = THRESHOLD) -> tuple[int, ...]:
        """Neurons that write into the near-null space, largest share first."""
        strong = self.norms >= self.norms.median()
        chosen = strong & (self.null_share >= threshold)
        order = torch.argsort(self.null_share, descending=True, stable=True).tolist()
        return tuple(index for index in order if chosen[index])

    def among(self, neurons: Sequence[int], *, threshold: float = THRESHOLD) -> tuple[int, ...]:
        """Which of some neurons are entropy neurons, in their own order."""
        found = set(self.entropy_neurons(threshold=threshold))
        return tuple(neuron for neuron in neurons if neuron in found)


@torch.no_grad()
def writing_statistics(
    model: nn.Module, sites: Sites, layer: int, *, null_dimensions: int | None = None
) -> WritingStatistics:
    """Norm, null share and logit variance of a layer's neurons, heads or features.

    **Arguments:**

    - `sites`: says which of them.
    - `null_dimensions`: how many of the unembedding's weakest directions count as unread; `None`
        takes 1 % of the stream's width, at least one.
    """
    sites.check_layer(layer)
    count = null_dimensions or max(1, round(0.01 * sites.d_model))
    if not 0 < count < sites.d_model:
        raise InputError(
            "null_dimensions", expected=f"from 1 to {sites.d_model - 1}", got=null_dimensions
        )
    unembedding, written = find_unembedding(model), writing_weights(sites, layer)
    if unembedding.centers:
        written = written - written.mean(dim=1, keepdim=True)
    norms = written.norm(dim=1)
    unit = written / norms.clamp_min(torch.finfo(torch.float64).tiny).unsqueeze(1)
    # eigenvectors of W^T W are the right singular vectors of W, smallest first
    _, directions = torch.linalg.eigh(unembedding.weight.t() @ unembedding.weight)
    null_share = (unit @ directions[:, :count]).norm(dim=1)
    variance = _logit_variance(unembedding.weight, unit)
    if sites.channels > 1:
        squares = norms.square()
        whole = sites.summed(squares)
        null_share = (sites.summed(squares * null_share.square()) / whole).sqrt()
        variance = sites.summed(squares * variance) / whole
        norms = (whole / sites.channels).sqrt()
    return WritingStatistics(layer, norms, null_share, variance, count)


def _logit_variance(weight: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Variance over tokens of the cosine with each neuron, `[d_mlp]`."""
    lengths = weight.norm(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    first, second = torch.zeros(len(unit)).double(), torch.zeros(len(unit)).double()
    for start in range(0, len(weight), _CHUNK):
        cosines = (weight[start : start + _CHUNK] / lengths[start : start + _CHUNK]) @ unit.t()
        first += cosines.sum(dim=0)
        second += (cosines**2).sum(dim=0)
    return second / len(weight) - (first / len(weight)) ** 2
