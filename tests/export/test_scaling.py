"""Which plans weights can hold, and as what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.export import layer_scalings
from sna_eval.gating import Gate
from sna_eval.intervention import Intervention
from sna_eval.plan import PlannedIntervention, Selection, TaskPlan
from tests.export.conftest import PLAN


def plan_of(*entries: PlannedIntervention, mode: Any = "confidence") -> TaskPlan:
    return TaskPlan(Gate(mode=mode), entries)


def test_several_interventions_become_one_vector_per_layer() -> None:
    first, second = layer_scalings(PLAN)
    assert (first.layer, first.factors) == (1, {3: 2.5, 5: 1.7, 17: 2.5, 40: 2.5 * 1.7})
    assert (second.layer, second.factors) == (3, {2: 3.0, 9: 3.0, 30: 3.0})


def test_vector_does_what_the_interventions_do() -> None:
    (scaling,) = (
        layer_scaling for layer_scaling in layer_scalings(PLAN) if layer_scaling.layer == 1
    )
    activations = torch.randn(3, 64, dtype=torch.float64)
    expected = activations
    for entry in PLAN.interventions[:2]:
        intervention = Intervention(1, (entry.neurons or {})[""], entry.multiplier)
        expected = intervention.transform(expected)
    assert torch.allclose(activations * scaling.vector(64), expected, rtol=1e-12)


def test_a_label_takes_its_own_neurons() -> None:
    entry = PlannedIntervention(0, 2.0, direction="no", neurons={"yes": (1,), "no": (4, 2)})
    (scaling,) = layer_scalings(plan_of(entry))
    assert scaling.neurons == (2, 4)


def test_opposite_factors_cancel() -> None:
    entries = [PlannedIntervention(0, m, neurons={"": (1, n)}) for m, n in ((2.0, 5), (0.5, 6))]
    (scaling,) = layer_scalings(plan_of(*entries))
    assert scaling.factors == {5: 2.0, 6: 0.5}


ONE = PlannedIntervention(0, 2.0, neurons={"yes": (1,), "no": (2,)})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (replace(ONE, positions="last"), r"interventions\[0\].positions: expected `all`"),
        (
            replace(ONE, positions="continuation"),
            r"positions: expected `all`: weights act on every",
        ),
        (replace(ONE, direction="predicted"), "weights do not know the answer.*one file per label"),
        (replace(ONE, direction="gold", allow_oracle=True), "weights do not know the answer"),
        (replace(ONE, direction="maybe"), "direction: expected `both` or one of yes, no"),
        (
            PlannedIntervention(0, method="caa"),
            "method: expected one of sna, .*, ungated, cna, got 'caa'; an export holds",
        ),
        (replace(ONE, multiplier=1.0), "expected a neuron with a multiplier other than 1"),
        (replace(ONE, multiplier=1e39), "expected a factor that float32 can hold"),
        (
            replace(ONE, neurons=None, select=Selection()),
            "neurons: expected neuron indices, got None; resolve the plan first",
        ),
    ],
)
def test_what_weights_cannot_hold_is_refused(entry: PlannedIntervention, message: str) -> None:
    with pytest.raises(InputError, match=message):
        layer_scalings(plan_of(entry))


def test_a_closed_gate_exports_nothing() -> None:
    with pytest.raises(InputError, match=r"gate\.mode: expected a gate that can open, got 'never'"):
        layer_scalings(plan_of(ONE, mode="never"))
