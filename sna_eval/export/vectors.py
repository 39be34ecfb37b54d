"""What of a plan a file of vectors can hold: one for a place in a block, acting at every token."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from sna_eval.errors import InputError
from sna_eval.intervention import Addition, Affine, Clamping
from sna_eval.intervention.family import Action
from sna_eval.intervention.family import Place as Output
from sna_eval.plan import TaskPlan


@dataclass(frozen=True, eq=False)
class LayerVector:
    """What is done to the residual stream as it leaves a block, or to what a component writes."""

    layer: int
    """Block index, from 0."""
    values: torch.Tensor
    """Float32, `[d_model]`: what is added, strengths in it, or the direction of a clamp."""
    place: Output = "block"
    action: Action = "add"
    coefficient: float = 1.0
    """Of a clamp: what the part along the direction is set to."""
    bias: torch.Tensor | None = None
    """Of a clamp: what that part is reckoned from, `[d_model]`."""


def layer_vectors(plan: TaskPlan, *, field: str = "plan") -> tuple[LayerVector, ...]:
    """The vectors of a plan, first layer to last; those that are added at one place are summed.

    **Raises:** `InputError` where a plan does anything else, or not at every token, where two of
    its clamps meet at one place, and where it does nothing.
    """
    found: dict[tuple[int, Output], LayerVector] = {}
    for number, entry in enumerate(plan.interventions):
        where = f"{field}.interventions[{number}]"
        for acting in entry.built():
            vector = _vector(acting, where, entry.method)
            place = (vector.layer, vector.place)
            before = found.get(place)
            if before is not None and "clamp" in (vector.action, before.action):
                raise InputError(
                    f"{where}.method", expected="one intervention a place, beside a clamp",
                    got=f"two in layer {vector.layer}", hint="run it with `--model sna`",
                )  # fmt: skip
            if before is not None:
                vector = replace(vector, values=before.values + vector.values)
            found[place] = vector
    kept = (found[place] for place in sorted(found))
    left = tuple(vector for vector in kept if vector.action == "clamp" or vector.values.any())
    if not left:
        raise InputError(
            f"{field}.interventions", expected="a vector other than 0", got="none",
            hint="this plan changes nothing, so there is nothing to export",
        )  # fmt: skip
    return left


def _vector(acting: Affine, where: str, method: str) -> LayerVector:
    if not isinstance(acting, (Addition, Clamping)):
        raise InputError(
            f"{where}.method", expected="one that adds a vector, such as caa or repe",
            got=method, hint="run it with `--model sna`",
        )  # fmt: skip
    if acting.positions != "all" or acting.token is not None:
        raise InputError(
            f"{where}.positions", expected="`all`: these files act on every token",
            got=acting.positions if acting.token is None else method,
            hint="this intervention needs `--model sna`, or a plan with `positions: all`",
        )  # fmt: skip
    if isinstance(acting, Addition):
        return LayerVector(acting.layer, acting.strength * acting.vector.values, acting.site)
    if acting.strength != 1.0:
        raise InputError(
            f"{where}.strength", expected="1 for a clamp: these files clamp all the way",
            got=acting.strength, hint="run it with `--model sna`",
        )  # fmt: skip
    bias = None if acting.bias is None else acting.bias.values
    return LayerVector(
        acting.layer, acting.direction.values, acting.site, "clamp", acting.value, bias
    )
