"""The cost model against PyTorch's own counter of operations."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sna_eval.measuring.grid import Configuration
from sna_eval.measuring.passes import LayerPlan
from sna_eval.neurons.first_order import first_order
from sna_eval.study.sweep import CostModel, ScreenOptions, Sweep
from sna_eval.study.sweep.cost import Cost
from sna_eval.study.sweep.screening.prediction import predicted_requests, request_row
from tests.conftest import build_model

MakeSweep = Callable[..., Sweep]


def counted(run: Callable[[], Any]) -> int:
    """Operations as PyTorch counts them; attention is counted only where it is spelled out."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_operations_of_a_configuration(sweep_of: MakeSweep, layer: int) -> None:
    """Two numbers of configurations: what grows between them is the cost of one."""
    sweep = sweep_of("own_open")
    passes, group = sweep.passes, sweep.groups("own_open")[0]
    plan = LayerPlan(layer, sweep.routes[layer], {"": (1, 2, 3, 4, 5)})
    weights = {"both": torch.ones(len(group.rows), 1)}
    assert passes.shortcuts  # found before counting
    _, (captured,) = passes.baseline(group, [plan])
    two, four = (
        counted(
            lambda count=one: passes.amplified(
                group, plan, captured, weights, [Configuration(layer, 5, 2.0)] * count
            )
        )
        for one in (2, 4)
    )
    assert (four - two) / 2 == CostModel(sweep).flops(group, layer)


def test_operations_of_the_baseline(sweep_of: MakeSweep) -> None:
    sweep = sweep_of("own_open")
    group = sweep.groups("own_open")[0]
    flops = counted(lambda: sweep.passes.baseline(group, []))
    assert flops == CostModel(sweep).baseline_flops(group)


def test_estimate(sweep_of: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = sweep_of("own_open", "own_labels", layers=(0, 2))
    model = CostModel(sweep)
    monkeypatch.setattr(model, "measured_rate", lambda: 1e6)
    cost = model.estimate()
    assert cost.configurations == 2 * 2 * 6
    assert cost.rows == 2 * 6 * (6 + 6)  # one row an item: choices share it
    expected = sum(
        model.baseline_flops(group) + 6 * (model.flops(group, 0) + model.flops(group, 2))
        for task in ("own_open", "own_labels")
        for group in sweep.groups(task)
    )
    assert cost.flops == pytest.approx(expected)
    assert cost.seconds == pytest.approx(expected / 1e6)


def test_estimate_of_a_screened_sweep(sweep_of: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 12 configurations 3 are drawn, and 2 and at most 3 more tried: 8, on all six items."""
    screen = ScreenOptions(verify=0.1, at_least=2, sample=0.2, sample_at_least=3)
    sweep = sweep_of("own_choices", layers=(0, 2), screen=screen)
    model = CostModel(sweep)
    monkeypatch.setattr(model, "measured_rate", lambda: 1e6)
    cost = model.estimate()
    groups, subject = sweep.groups("own_choices"), sweep.subjects["own_choices"]
    assert (cost.configurations, cost.run, cost.rows) == (12, 8, 8 * 6)
    expected = model.prediction_flops(subject) + sum(
        model.baseline_flops(group) + 4 * (model.flops(group, 0) + model.flops(group, 2))
        for group in groups
    )
    assert cost.flops == pytest.approx(expected)
    assert "12 configurations (at most 8 of them run), 48 rows" in str(cost)


def test_operations_of_gradients(sweep_of: MakeSweep) -> None:
    """Weights have no gradients, so back is as much as there, but for attention: 2.5 times, and the
    first layer's attention and the vocabulary, which the estimate leaves out."""
    sweep = sweep_of("own_choices", screen=ScreenOptions())
    subject, engine = sweep.subjects["own_choices"], sweep.passes.engine
    baseline = np.zeros(subject.items.starts[-1])
    pairs = predicted_requests(subject.items, baseline)
    rows = [request_row(subject.items, *pair, max_length=100) for pair in pairs]
    flops = counted(lambda: first_order(engine.model, engine.sites, rows, layers=(0, 1, 2)))
    assert flops == pytest.approx(CostModel(sweep).prediction_flops(subject), rel=0.35)


def test_measured_rate(sweep_of: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sna_eval.study.sweep.cost._TRIAL_SECONDS", 0.05)
    rate = CostModel(sweep_of("own_labels", layers=(1,))).measured_rate()
    assert 1e6 < rate < 1e15


def test_in_words() -> None:
    text = str(Cost(24_192, 1_209_600, 3.5e15, 7200.0))
    assert text.startswith("24,192 configurations, 1,209,600 rows, 3.50e+15 FLOPs, about 2.0 h")
    assert "about 12 min" in str(Cost(1, 1, 1.0, 700.0))
    assert "about 3 s" in str(Cost(1, 1, 1.0, 3.2))


def test_a_token_meets_the_experts_it_is_routed_to() -> None:
    """Experts are stacked in three dimensions, and were left out."""
    model = build_model("llama", num_hidden_layers=1)
    experts = torch.nn.Module()
    experts.stacked = torch.nn.Parameter(torch.zeros(4, 6, 5))
    experts.router = torch.nn.Linear(5, 4, bias=False)
    model.config.num_experts_per_tok = 2
    sweep: Any = SimpleNamespace(
        lm=SimpleNamespace(model=model), sites=SimpleNamespace(n_experts=4)
    )
    assert CostModel(sweep)._matrices(experts) == 4 * 5 + 2 * 6 * 5
    sweep.sites.n_experts = 0
    assert CostModel(sweep)._matrices(experts) == 4 * 5
