"""Planted circuits: a copy of a model that lacks just what an amplification would give back.

The output weights of some neurons are divided by `m` in the copy. Their activations are what they
were, so multiplying them by `m` gives the original model back, to rounding. The task's own ranking
has these neurons on top; the search has to find their layer, their number and `m` by itself, and
the test has to show the gain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from sna_eval.errors import InputError
from sna_eval.intervention import Intervention
from sna_eval.neurons import Selected
from sna_eval.study.nulls.task_search import TaskSearch

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


@dataclass(frozen=True)
class Circuit:
    """Neurons to weaken."""

    layer: int
    neurons: tuple[int, ...]
    multiplier: float
    """What gives the original back."""
    effect: float
    """What that is worth, in mean specific log-odds: on either half of the development items or on
    the test items, wherever it is least."""
    chance: float | None = None
    """That the whole chain shows it (`findable`), where that was tried."""
    detectable: float | None = None
    """What a registration of the copy says is shown in 80 % of tests, where one was made."""


def circuits(search: TaskSearch) -> list[Circuit]:
    """The strongest configuration of every layer as a circuit, the one worth most first.

    Neurons are ranked on both halves of the development items: a search ranks on one half, never
    the same, and finds what all of them have in common. What weakening costs is measured on the
    model as it is. What neurons do for the answers of some development items they need not do for
    others, and a search can find nothing but the former.
    """
    grid, ranking = search.grid, search.ranked_on_all()
    count, multiplier = max(grid.n_neurons), max(grid.multipliers)
    sets = [
        Intervention(layer, _first(ranking[layer], count), 1.0 / multiplier)
        for layer in grid.layers
    ]
    tested = np.array(
        [(measured.specific * search.test.opened).mean() for measured in search.test.measure(sets)]
    )
    halves = [half.pushes(sets).gains for half in (search.choosing, search.ranking_half)]
    costs = -np.max([*halves, tested], axis=0)
    found = [
        Circuit(acting.layer, acting.neurons, multiplier, float(cost))
        for acting, cost in zip(sets, costs, strict=True)
    ]
    return sorted(found, key=lambda circuit: -circuit.effect)


def _first(ranked: Mapping[str, Selected], count: int) -> tuple[int, ...]:
    """All labels' first neurons."""
    every = (selected.first(count).neurons for selected in ranked.values())
    return tuple(sorted({neuron for neurons in every for neuron in neurons}))


@contextmanager
def weakened(lm: SNALM, circuit: Circuit) -> Iterator[Path]:
    """A folder with the weakened copy, gone afterwards; the model is left as it was.

    **Raises:** `InputError` for a model whose weights are not plain numbers.
    """
    projection = lm.engine.sites.projections[circuit.layer]
    weight = projection.weight
    assert isinstance(weight, torch.Tensor)
    if not weight.is_floating_point():
        raise InputError(
            "model", expected="weights in floating point, to weaken some", got=str(weight.dtype)
        )
    state = dict(lm.model.state_dict())
    name = next(name for name, parameter in lm.model.named_parameters() if parameter is weight)
    state[name] = _divided(projection, circuit.neurons, circuit.multiplier)
    with TemporaryDirectory(prefix="sna-planted-") as folder:
        lm.model.save_pretrained(folder, state_dict=state)
        lm.tokenizer.save_pretrained(folder)
        yield Path(folder)


@torch.no_grad()
def _divided(projection: nn.Module, neurons: Sequence[int], by: float) -> torch.Tensor:
    """The weight with what the neurons write divided; GPT-2's `Conv1D` holds it transposed."""
    assert isinstance(projection.weight, torch.Tensor)
    weight = projection.weight.detach().clone()
    if isinstance(projection, Conv1D):
        weight[list(neurons)] /= by
    else:
        weight[:, list(neurons)] /= by
    return weight
