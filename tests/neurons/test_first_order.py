"""Effects of first order against finite differences of plainly amplified models."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.intervention import Intervention, Row, Unit, amplify, find_sites, probe
from sna_eval.neurons import attribution_scores
from sna_eval.neurons.first_order import FirstOrder, first_order
from tests.conftest import build_model, token_ids
from tests.neurons.answered import log_prob, rows

_STEP = {"gpt2": 1e-3, "gpt_neox": 1e-3, "opt": 1e-6, "llama": 1e-2, "gemma3_text": 1e-2}
"""Of a five-point difference, whose error is of fourth order. Norms that compute in float32,
whatever the model's dtype, drown a smaller one; OPT's ReLU has kinks that a larger one crosses."""
ARCHITECTURES = tuple(_STEP)


def slope(
    model: Any, row: Row, layer: int, neurons: tuple[int, ...], size: float, unit: Unit = "mlp"
) -> float:
    """`d log P / d m` at `m = 1`."""

    def at(step: float) -> float:
        with amplify(model, [Intervention(layer, neurons, 1 + step * size, unit=unit)]):
            return log_prob(model, row)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * size)


def of(model: Any, **options: Any) -> FirstOrder:
    return first_order(model, find_sites(model), rows(), layers=[0, 1, 3], **options)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equals_finite_differences(name: str) -> None:
    """Of sets of neurons, row by row; float32 in norms leaves noise of 3e-5."""
    model = build_model(name).double()
    found = of(model)
    for layer in (0, 1, 3):
        width = found.effects[layer].shape[1]
        for neurons in (tuple(range(width)), tuple(range(0, width, 3)), (5, 11)):
            for number, row in enumerate(rows()):
                predicted = float(found.effects[layer][number, list(neurons)].double().sum())
                assert predicted == pytest.approx(
                    slope(model, row, layer, neurons, _STEP[name]), rel=1e-3, abs=3e-5
                )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_heads_equal_finite_differences(name: str) -> None:
    model = build_model(name).double()
    heads = find_sites(model).of("head")
    found = first_order(model, heads, rows(), layers=[1, 3])
    for layer in (1, 3):
        assert found.effects[layer].shape == (len(rows()), 4)
        for chosen in ((2,), (0, 3)):
            for number, row in enumerate(rows()):
                predicted = float(found.effects[layer][number, list(chosen)].double().sum())
                assert predicted == pytest.approx(
                    slope(model, row, layer, chosen, _STEP[name], "head"), rel=1e-3, abs=3e-5
                )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_stretches_of_blocks_give_the_same(name: str) -> None:
    model = build_model(name)
    whole = of(model)
    abilities = probe(model, find_sites(model))
    assert abilities.resumes
    parts = of(model, abilities=abilities, memory=1)
    torch.testing.assert_close(parts.log_likelihoods, whole.log_likelihoods, rtol=0, atol=1e-5)
    for layer, effects in whole.effects.items():
        torch.testing.assert_close(parts.effects[layer], effects, rtol=1e-3, atol=1e-6)


def test_a_model_that_resumes_nowhere_is_computed_whole() -> None:
    """However little memory is allowed, one row at a time is the least."""
    model = build_model("gpt2")
    told: list[int] = []
    found = of(model, memory=1, progress=told.append)
    assert told == [1, 1, 1]
    torch.testing.assert_close(found.effects[1], of(model).effects[1], rtol=1e-3, atol=1e-6)


def test_log_likelihoods_are_the_models() -> None:
    model = build_model("llama")
    plain = [log_prob(model, row) for row in rows()]
    assert of(model).log_likelihoods.tolist() == pytest.approx(plain, abs=1e-5)


def test_its_mean_is_attribution() -> None:
    model = build_model("gemma3_text")
    sites = find_sites(model)
    scores = attribution_scores(model, sites, rows(), layers=[1], sinks="keep")[1]
    torch.testing.assert_close(
        of(model).effects[1].double().mean(dim=0), scores, rtol=1e-4, atol=1e-7
    )


def test_half_precision() -> None:
    """bfloat16 keeps three digits: sums over a layer agree in sign and size."""
    model = build_model("llama")
    exact = of(model).effects[1].sum(dim=1)
    rough = of(model.to(torch.bfloat16)).effects[1].sum(dim=1)
    torch.testing.assert_close(rough, exact, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("trainable", [True, False])
def test_leaves_the_model_as_it_was(trainable: bool) -> None:
    model = build_model("gpt2").requires_grad_(trainable)
    before = model(token_ids(2, 6)).logits
    of(model, abilities=probe(model, find_sites(model)), memory=1)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad is trainable for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert torch.equal(model(token_ids(2, 6)).logits, before)


def test_refuses_a_model_without_gradients() -> None:
    model = build_model("gpt2")

    class Cut(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, hidden: torch.Tensor) -> torch.Tensor:
            return hidden.clone()

        @staticmethod
        def backward(context: Any, *gradient: torch.Tensor) -> Any:
            raise NotImplementedError("this kernel has no gradient")

    handle = model.transformer.ln_f.register_forward_hook(lambda m, a, out: Cut.apply(out))
    with pytest.raises(
        InputError, match=r"screen: expected a model with gradients .*kernel has no"
    ):
        of(model)
    handle.remove()
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_refuses_gradients_that_overflow() -> None:
    model = build_model("gpt2")
    model.transformer.ln_f.register_forward_hook(lambda m, a, out: out * float("inf"))
    with pytest.raises(InputError, match="screen: expected finite gradients"):
        of(model)
