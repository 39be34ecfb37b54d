"""What of a plan a file of vectors can hold: one for a block's output, added at every token."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sna_eval.errors import InputError
from sna_eval.intervention import Addition
from sna_eval.plan import TaskPlan


@dataclass(frozen=True, eq=False)
class LayerVector:
    """What is added to the residual stream as it leaves a block."""

    layer: int
    """Block index, from 0."""
    values: torch.Tensor
    """Float32, `[d_model]`; strengths are in it."""


def layer_vectors(plan: TaskPlan, *, field: str = "plan") -> tuple[LayerVector, ...]:
    """The vectors that a plan adds, first layer to last; those of one layer are summed.

    **Raises:** `InputError` where a plan does anything else, or not at every token, and where it
    does nothing.
    """
    sums: dict[int, torch.Tensor] = {}
    for number, entry in enumerate(plan.interventions):
        where = f"{field}.interventions[{number}]"
        for addition in entry.built():
            if not isinstance(addition, Addition):
                raise InputError(
                    f"{where}.method", expected="one that adds a vector, such as caa or repe",
                    got=entry.method, hint="run it with `--model sna`",
                )  # fmt: skip
            if addition.positions != "all" or addition.token is not None:
                raise InputError(
                    f"{where}.positions", expected="`all`: these files act on every token",
                    got=addition.positions if addition.token is None else entry.method,
                    hint="this intervention needs `--model sna`, or a plan with `positions: all`",
                )  # fmt: skip
            vector = addition.strength * addition.vector.values
            sums[entry.layer] = sums.get(entry.layer, torch.zeros_like(vector)) + vector
    found = tuple(LayerVector(layer, sums[layer]) for layer in sorted(sums) if sums[layer].any())
    if not found:
        raise InputError(
            f"{field}.interventions", expected="a vector other than 0", got="none",
            hint="this plan changes nothing, so there is nothing to export",
        )  # fmt: skip
    return found
