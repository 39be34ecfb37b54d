"""Effects of first order on real weights, against finite differences of amplified models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.harness.loading import load_tasks
from sna_eval.intervention import Intervention, Row, amplify, find_sites
from sna_eval.intervention.partial_passes import forward_replaced
from sna_eval.neurons.first_order import FirstOrder, first_order
from tests.neurons.answered import log_prob
from tests.real.conftest import Load

STEP = 1e-3
"""Amplified by 1.001 and by 0.999, so that what is left is of third order."""
RELATIVE = 1e-3


def rows_of(lm: Any, count: int) -> list[Row]:
    (task,) = load_tasks(["sna_poetry_easy"]).values()
    docs = list(task.validation_docs())[:count]
    pairs = [(task.doc_to_text(doc), task.doc_to_target(doc)) for doc in docs]
    return [Row(*_encoded(lm, context, target)) for context, target in pairs]


def _encoded(lm: Any, context: str, target: str) -> tuple[tuple[int, ...], tuple[tuple[int, ...]]]:
    before, answer = lm._encode_pair(context, target)
    return tuple(before), (tuple(answer),)


@contextmanager
def double_norms(model: torch.nn.Module) -> Iterator[None]:
    """Norms that compute in float64 too: transformers' go through float32 whatever the model is
    in, and a difference of two scores drowns in what that rounds."""

    def wide(module: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        gain = module.weight if "Llama" in type(module).__name__ else 1.0 + module.weight
        eps = module.variance_epsilon if hasattr(module, "variance_epsilon") else module.eps
        return lambda x: gain * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)

    norms = [module for module in model.modules() if type(module).__name__.endswith("RMSNorm")]
    assert norms
    with ExitStack() as stack:
        for module in norms:
            stack.enter_context(forward_replaced(module, wide(module)))
        yield


def slope(model: Any, row: Row, layer: int, neurons: Sequence[int]) -> float:
    """`d log P / d m` at `m = 1`."""

    def at(multiplier: float) -> float:
        with amplify(model, [Intervention(layer, tuple(neurons), multiplier)]):
            return log_prob(model, row)

    return (at(1 + STEP) - at(1 - STEP)) / (2 * STEP)


def test_equals_finite_differences(real: Path, load: Load) -> None:
    """Of the strongest neurons of three layers, of every third and of all."""
    lm = load(real)
    model, rows = deepcopy(lm.model).double(), rows_of(lm, 2)
    sites = find_sites(model)
    layers = (0, sites.n_layers // 2, sites.n_layers - 1)
    with double_norms(model):
        found = first_order(model, sites, rows, layers=layers)
        for number, layer in enumerate(layers):
            row = number % len(rows)
            effects = found.effects[layer][row].double()
            strongest = effects.abs().argsort(descending=True)[:10].tolist()
            assert abs(float(effects[strongest[0]])) > 1e-4, "far above rounding"
            for neurons in (strongest, range(0, sites.d_mlp, 3), range(sites.d_mlp)):
                predicted = float(effects[list(neurons)].sum())
                measured = slope(model, rows[row], layer, neurons)
                assert predicted == pytest.approx(measured, rel=RELATIVE, abs=1e-6)


def test_leaves_the_model_as_it_was(real: Path, load: Load) -> None:
    """To the last bit, and nothing is left on it."""
    lm = load(real)
    sites, rows = find_sites(lm.model), rows_of(lm, 3)
    ids = torch.tensor([rows[0].context])
    asked = [parameter.requires_grad for parameter in lm.model.parameters()]
    with torch.no_grad():
        before = lm.model(ids).logits
        found: FirstOrder = first_order(lm.model, sites, rows, layers=sites.layers)
        after = lm.model(ids).logits
    assert torch.equal(before, after)
    assert all(parameter.grad is None for parameter in lm.model.parameters())
    assert [parameter.requires_grad for parameter in lm.model.parameters()] == asked
    assert not any(
        module._forward_pre_hooks or module._forward_hooks for module in lm.model.modules()
    )
    assert not any("forward" in module.__dict__ for module in lm.model.modules())
    assert set(found.effects) == set(sites.layers)
