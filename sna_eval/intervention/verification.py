"""Whether a model can be trusted to be amplified as promised; every promise tried on the model.

Four of them, on short random texts: amplifying by hooks equals scaling the weights those neurons
write with; a pass resumed at a block equals a full one; what a token is told does not depend on
later ones; and the model answers to the bit as before once the hooks are gone. Attention heads are
tried as neurons are, where it is known where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from sna_eval.intervention.amplify import amplify
from sna_eval.intervention.forward import Abilities, Assigned, Engine
from sna_eval.intervention.probing import probe
from sna_eval.intervention.projections import written_by
from sna_eval.intervention.rows import Batch, trial_rows
from sna_eval.intervention.sites import Sites, find_sites
from sna_eval.intervention.spec import Intervention, Unit

FACTOR = 3.0
_NEURONS = 16
"""Neurons that are amplified, spread over the layer and its experts."""
_STEPS = 4
"""Layers that are tried at most, first and last among them."""


@dataclass(frozen=True)
class Differences:
    """Of scores, as `Verified` has them."""

    effect: float
    folded: float
    resumed: float | None

    def hold(self, tolerance: float) -> bool:
        """Whether something happened, and the same on every way."""
        exact = self.folded <= tolerance and (self.resumed is None or self.resumed <= tolerance)
        return exact and self.effect > 10 * tolerance


@dataclass(frozen=True)
class Verified:
    """What was found; differences are the largest in log-probability."""

    sites: Sites
    abilities: Abilities
    layers: tuple[int, ...]
    """Layers that were tried."""
    effect: float
    """How far amplification moved the scores: 0 would mean that nothing was tested."""
    folded: float
    """Between hooks and scaled weights."""
    resumed: float | None
    """Between a resumed and a full pass; `None` where passes cannot be resumed and none is."""
    restored: bool
    """Whether the scores were the same to the bit afterwards."""
    heads: Differences | None = None
    """The same of attention heads; `None` where it is not known where they are."""

    def holds(self, tolerance: float) -> bool:
        """Whether every promise was kept."""
        neurons = Differences(self.effect, self.folded, self.resumed)
        tried = [neurons] if self.heads is None else [neurons, self.heads]
        return self.restored and all(trial.hold(tolerance) for trial in tried)


@torch.no_grad()
def verify(model: nn.Module) -> Verified:
    """Tries amplification on a loaded model, which is left as it was.

    **Raises:** `InputError` where the model has no sites, or tokens see later ones.
    """
    sites = find_sites(model)
    engine = Engine(model, sites, probe(model, sites))
    batch = Batch(trial_rows(model), engine.device)
    plain = engine.log_likelihoods(batch)
    layers = _spread(sites.layers, _STEPS)
    neurons = _try(engine, batch, plain, layers, "mlp")
    heads = None
    if sites.heads is not None:
        heads = _try(engine, batch, plain, _spread(sites.heads.layers, _STEPS), "head")
    return Verified(
        sites, engine.abilities, layers, neurons.effect, neurons.folded, neurons.resumed,
        restored=torch.equal(engine.log_likelihoods(batch), plain),
        heads=heads,
    )  # fmt: skip


def _try(
    engine: Engine, batch: Batch, plain: torch.Tensor, layers: tuple[int, ...], unit: Unit
) -> Differences:
    """The worst of some layers."""
    tried = [_try_layer(engine, batch, layer, plain, unit) for layer in layers]
    return Differences(
        min(trial.effect for trial in tried),
        max(trial.folded for trial in tried),
        max((trial.resumed for trial in tried if trial.resumed is not None), default=None),
    )


def _try_layer(
    engine: Engine, batch: Batch, layer: int, plain: torch.Tensor, unit: Unit
) -> Differences:
    sites = engine.sites
    every = tuple(range(sites.of(unit).n_units))
    # all heads at once may be no more than a scaled output, which norms behind it undo
    chosen = _spread(every, _NEURONS) if unit == "mlp" else every[::2]
    intervention = Intervention(layer, chosen, FACTOR, unit=unit)
    with amplify(engine.model, [intervention], sites=sites):
        hooked = engine.log_likelihoods(batch)
    with scaled_weights(sites, intervention):
        folded = engine.log_likelihoods(batch)
    resumed = _resumed(engine, batch, intervention) if engine.abilities.resumes else None
    return Differences(
        _largest(hooked - plain),
        _largest(hooked - folded),
        None if resumed is None else _largest(hooked - resumed),
    )


def _resumed(engine: Engine, batch: Batch, intervention: Intervention) -> torch.Tensor:
    _, captured = engine.run(batch, capture=[intervention.layer])
    everywhere = torch.ones(len(batch.rows), dtype=torch.bool, device=engine.device)
    scores = engine.amplified(
        batch, [Assigned(intervention, everywhere)], hidden=captured[intervention.layer]
    )
    values = [branch.log_likelihood for row in scores for branch in row.branches]
    return torch.tensor(values, device=engine.device)


@contextmanager
def scaled_weights(sites: Sites, intervention: Intervention) -> Iterator[None]:
    """The same amplification, by scaling what the neurons write with; put back to the bit."""
    projection = sites.of(intervention.unit).projections[intervention.layer]
    channels = sites.by_channel(intervention).neurons
    columns = [written_by(projection, channel) for channel in channels]
    kept = [column.clone() for column in columns]
    try:
        for column in columns:
            column.mul_(intervention.multiplier)
        yield
    finally:
        for column, values in zip(columns, kept, strict=True):
            column.copy_(values)


def _spread(values: tuple[int, ...], count: int) -> tuple[int, ...]:
    """At most `count` of some values, evenly spaced, the first and the last among them."""
    if len(values) <= count:
        return values
    return tuple(values[round(n * (len(values) - 1) / (count - 1))] for n in range(count))


def _largest(difference: torch.Tensor) -> float:
    """NaN where any is: NaN is never within a tolerance."""
    return float(difference.abs().max())
