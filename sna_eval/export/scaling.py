"""What of a plan a file of weights can hold: one factor per unit, whatever the item or token."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from sna_eval.errors import InputError
from sna_eval.intervention import Sites, Unit
from sna_eval.methods import METHODS
from sna_eval.plan import PlannedIntervention, TaskPlan
from sna_eval.plan.applying import follows_choices, label_neurons

SCALING_METHODS = tuple(name for name, method in METHODS.items() if method.chooses_neurons)
"""Methods whose entries do nothing but multiply their neurons; others are refused."""


Place = tuple[int, Unit]
"""A layer and which of its units."""


@dataclass(frozen=True)
class LayerScaling:
    """All interventions on one layer's neurons, or heads, as one factor for each."""

    layer: int
    """Block index, from 0."""
    factors: Mapping[int, float]
    """Factor by neuron, in the order of neurons; factors of 1 are left out, so it is not empty."""
    unit: Unit = "mlp"

    @property
    def neurons(self) -> tuple[int, ...]:
        return tuple(self.factors)

    def by_channel(self, sites: Sites) -> LayerScaling:
        """The same as one factor per input of the output projection that the units write by."""
        seen = sites.of(self.unit)
        factors = {
            channel: factor
            for unit, factor in self.factors.items()
            for channel in seen.channels_of([unit])
        }
        return replace(self, factors=factors)

    def vector(self, d_mlp: int) -> torch.Tensor:
        """The factors of all neurons, 1 where nothing changes: float64, `[d_mlp]`."""
        vector = torch.ones(d_mlp, dtype=torch.float64)
        vector[list(self.factors)] = torch.tensor(list(self.factors.values()), dtype=torch.float64)
        return vector


def layer_scalings(plan: TaskPlan, *, field: str = "plan") -> tuple[LayerScaling, ...]:
    """The layers that a plan changes, first to last, neurons before heads.

    Interventions that share a neuron multiply, as they do in the forward pass.

    **Raises:** `InputError` where what a plan does depends on the token or on the answer, where its
    neurons are not known yet, and where it does nothing.
    """
    if plan.gate.mode == "never":
        raise InputError(
            f"{field}.gate.mode", expected="a gate that can open", got="never",
            hint="nothing is amplified, so there is nothing to export",
        )  # fmt: skip
    factors: dict[Place, dict[int, float]] = defaultdict(dict)
    for number, entry in enumerate(plan.interventions):
        of_layer = factors[entry.layer, entry.unit]
        for neuron in _neurons(entry, f"{field}.interventions[{number}]"):
            of_layer[neuron] = of_layer.get(neuron, 1.0) * entry.multiplier
    return _without_ones(factors, field)


def _neurons(entry: PlannedIntervention, where: str) -> tuple[int, ...]:
    """The neurons that an entry always amplifies."""
    _check_static(entry, where)
    if entry.neurons is None:
        raise InputError(
            f"{where}.neurons", expected="neuron indices", got=None,
            hint="resolve the plan first: sna-eval identify",
        )  # fmt: skip
    return label_neurons(entry.neurons, entry.direction, field=f"{where}.direction")


def _check_static(entry: PlannedIntervention, where: str) -> None:
    """Weights cannot look at positions or answers, and these files hold factors alone."""
    if entry.method not in SCALING_METHODS:
        raise InputError(
            f"{where}.method", expected=f"one of {', '.join(SCALING_METHODS)}", got=entry.method,
            hint="an export holds factors on neurons; run other methods with `--model sna`",
        )  # fmt: skip
    if entry.unit == "feature":
        raise InputError(
            f"{where}.unit", expected="mlp or head: weights hold no encoder of features",
            got=entry.unit, hint="run it with `--model sna`",
        )  # fmt: skip
    if entry.positions != "all":
        raise InputError(
            f"{where}.positions", expected="`all`: weights act on every token", got=entry.positions,
            hint="this intervention needs `--model sna`, or export a plan with `positions: all`",
        )  # fmt: skip
    if follows_choices(entry.direction):
        raise InputError(
            f"{where}.direction", expected="`both` or a label: weights do not know the answer",
            got=entry.direction, hint="export one file per label, and choose between them",
        )  # fmt: skip


def _without_ones(
    factors: Mapping[Place, Mapping[int, float]], field: str
) -> tuple[LayerScaling, ...]:
    scalings = []
    for layer, unit in sorted(factors, key=lambda place: (place[0], place[1] == "head")):
        changed = {n: f for n, f in sorted(factors[layer, unit].items()) if f != 1.0}
        for neuron, factor in changed.items():
            if not math.isfinite(factor) or abs(factor) > torch.finfo(torch.float32).max:
                raise InputError(
                    f"{field}.interventions.multiplier", expected="a factor that float32 can hold",
                    got=factor, hint=f"look at neuron {neuron} of layer {layer}",
                )  # fmt: skip
        if changed:
            scalings.append(LayerScaling(layer, changed, unit))
    if not scalings:
        raise InputError(
            f"{field}.interventions", expected="a neuron with a multiplier other than 1",
            got="none", hint="this plan changes nothing, so there is nothing to export",
        )  # fmt: skip
    return tuple(scalings)
