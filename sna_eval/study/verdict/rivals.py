"""What the claim is held against beside random rankings, measured on the same test items.

The temperature of equal entropy, the other tasks' claims at equal push, the claim's own neurons at
other strengths, and the claim's configuration in every layer beside random neurons there. And how
much of the claim's neurons other development items would have given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sna_eval.intervention import Intervention, LogitScaling
from sna_eval.measuring.moved import Moved, scaled, ticking
from sna_eval.study.bars import Begin
from sna_eval.study.nulls.options import RANDOM
from sna_eval.study.nulls.push import equal_push
from sna_eval.study.nulls.records import Found, kept_digits
from sna_eval.study.statistics import stability

if TYPE_CHECKING:
    from sna_eval.study.nulls.task_search import TaskSearch

DOSES = (0.25, 0.5, 1.0, 1.5, 2.0)
"""Multiples of the claim's `m - 1`."""
LAYER_RANDOMS = 4
"""Random rankings that the map of layers is held against."""
RESAMPLES = 10
"""Samples of the ranking half of the development items that the claim's neurons are ranked on."""


@dataclass(frozen=True)
class Rival:
    """Another intervention on a task's test items."""

    name: str
    setting: float
    """Its temperature, or its multiplier at equal push."""
    kl: float
    """Mean divergence of the next token on the choosing items, in nats."""
    reached: bool
    """Whether that is the claim's, where it should be."""
    specific: tuple[float, ...]
    """Change of specific log-odds, gate held open, `[item]`."""


@dataclass(frozen=True)
class Dose:
    """The claim's neurons at another strength."""

    share: float
    """Of the claim's `m - 1`."""
    specific: tuple[float, ...]
    """`[item]`, gate held open."""


@dataclass(frozen=True)
class LayerGain:
    """The claim's count and multiplier in one layer, on choosing items."""

    layer: int
    claim: float
    """Mean specific gain of the claim's ranking, in log-odds."""
    random: float
    """The same of random rankings, their mean."""


@dataclass(frozen=True)
class TaskRivals:
    """One task's, but for the other tasks' claims."""

    temperature: Rival
    doses: tuple[Dose, ...]
    layers: tuple[LayerGain, ...]
    stability: float | None = None
    """Of the claim's neurons under resampling of the items that they were ranked on; `None` for a
    placebo, which reads none."""


def claimed(found: Found) -> Intervention:
    """The intervention of a claim, as it was tested."""
    neurons = sorted({neuron for of_label in found.neurons.values() for neuron in of_label})
    return Intervention(found.layer, tuple(neurons), found.multiplier)


def task_rivals(search: TaskSearch, claim: Found, begin: Begin) -> TaskRivals:
    """Temperature, doses, map of layers and stability of one task."""
    return TaskRivals(
        _temperature(search, claim, begin("temperature")),
        _doses(search, claim, begin("doses")),
        _layers(search, claim, begin("layers")),
        _stability(search, claim, begin("stability")),
    )


def other_claims(
    search: TaskSearch, claim: Found, others: Mapping[str, Found], begin: Begin
) -> list[Rival]:
    """Other tasks' neurons on this task's items, pushing as far as its own claim.

    **Arguments:**

    - `others`: claims, by their tasks.
    """
    if not others:
        return []
    sets = [claimed(found) for found in others.values()]
    half = scaled(begin("other tasks"), 0.5 / len(sets))
    measure, wanted = partial(search.choosing.kls, moved=ticking(half)), [claim.kl] * len(sets)
    pushed = equal_push(sets, list(measure(sets)), wanted, measure, half)
    tested = search.test.measure([one.intervention for one in pushed], half)
    return [
        Rival(
            name, _kept(push.intervention.multiplier), _kept(push.kl), push.reached,
            kept_digits(one.specific),
        )
        for name, push, one in zip(others, pushed, tested, strict=True)
    ]  # fmt: skip


def _temperature(search: TaskSearch, claim: Found, moved: Moved) -> Rival:
    entropy = float(search.choosing.pushes([claimed(claim)]).entropies[0])
    value = search.choosing.temperature_of(entropy)
    scaling = [[LogitScaling(search.lm.engine.sites.layers[-1], value)]]
    kl = float(search.choosing.pushes_of(scaling).kls[0])
    (tested,) = search.test.measure_of(scaling, moved)
    return Rival("temperature", _kept(value), _kept(kl), True, kept_digits(tested.specific))


def _doses(search: TaskSearch, claim: Found, moved: Moved) -> tuple[Dose, ...]:
    acting = claimed(claim)
    sets = [replace(acting, multiplier=1.0 + share * (acting.multiplier - 1.0)) for share in DOSES]
    tested = search.test.measure(sets, scaled(moved, 1 / len(sets)))
    return tuple(
        Dose(share, kept_digits(one.specific)) for share, one in zip(DOSES, tested, strict=True)
    )


def _layers(search: TaskSearch, claim: Found, moved: Moved) -> tuple[LayerGain, ...]:
    rankings = [
        search.claimed,
        *(search.rankings.random(search.profile, draw) for draw in range(LAYER_RANDOMS)),
    ]
    sets = [
        Intervention(
            layer,
            tuple(
                sorted(
                    {
                        neuron
                        for ranked in ranking[layer].values()
                        for neuron in ranked.first(claim.n_neurons).neurons
                    }
                )
            ),
            claim.multiplier,
        )
        for ranking in rankings
        for layer in search.grid.layers
    ]
    found = search.choosing.pushes(sets, scaled(moved, 1 / len(sets)))
    gains = found.gains.reshape(len(rankings), -1)
    return tuple(
        LayerGain(layer, _kept(ranked), _kept(random))
        for layer, ranked, random in zip(
            search.grid.layers, gains[0], gains[1:].mean(axis=0), strict=True
        )
    )


def _stability(search: TaskSearch, claim: Found, moved: Moved) -> float | None:
    if search.options.select == RANDOM:
        return None
    sets = []
    for drawn in search.resampled(claim.layer, claim.n_neurons, draws=RESAMPLES):
        sets.append(drawn)
        moved(1 / RESAMPLES)
    found = stability(sets, search.lm.sites.of(search.options.unit).n_units)
    return _kept(found) if math.isfinite(found) else None


def _kept(value: float) -> float:
    return kept_digits(np.array([value]))[0]
