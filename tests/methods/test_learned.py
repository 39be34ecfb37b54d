"""What is learned: against SciPy, training loops written here, and PEFT's own forward."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from sna_eval.errors import InputError
from sna_eval.intervention import amplify, find_sites
from sna_eval.methods import METHODS, Fitted, Workbench
from sna_eval.methods.fitting import drawn
from sna_eval.methods.temperature import BOUNDS, fit_temperature
from tests.methods.conftest import LAYER, examples, wanted

CLOSE = {"atol": 1e-5, "rtol": 0}


def nll(model: Any, bench: Workbench, number: int) -> torch.Tensor:
    """Of one item's right answer, one unpadded pass, all positions' logits."""
    question = examples().questions[number]
    before, after = bench.pair(question.context, question.answer)
    logits = model(torch.tensor([before + after])).logits[0]
    log_probs = torch.log_softmax(logits, -1)
    return -sum(log_probs[len(before) - 1 + n, token] for n, token in enumerate(after))


@torch.no_grad()
def log_probs(model: Any) -> torch.Tensor:
    ids = torch.randint(1, 500, (3, 14), generator=torch.Generator().manual_seed(1))
    return torch.log_softmax(model(ids).logits, -1)


def test_temperature_is_scipys_minimum(bench: Workbench) -> None:
    logits, targets = [], []
    for question in examples().questions:
        before, after = bench.pair(question.context, question.answer)
        with torch.no_grad():
            read = bench.model(torch.tensor([before + after])).logits[0].double().numpy()
        logits.append(read[len(before) - 1 : -1])
        targets += after
    table = np.concatenate(logits)

    def loss(temperature: float) -> float:
        scaled = table / temperature
        peak = scaled.max(axis=1, keepdims=True)
        norm = np.log(np.exp(scaled - peak).sum(axis=1)) + peak[:, 0]
        return float((norm - scaled[np.arange(len(targets)), targets]).mean())

    best = minimize_scalar(loss, bounds=BOUNDS, method="bounded", options={"xatol": 1e-9})
    found = METHODS["temperature"].find(bench, examples(), wanted("temperature"))
    (value,) = found.parameters["temperature"].tolist()
    assert loss(value) <= best.fun + 1e-9
    assert value == pytest.approx(best.x, rel=1e-3) or value > BOUNDS[1] * 0.99
    assert found.layer == 3
    assert found.remarks["n_tokens"] == len(targets)


def test_temperature_of_drawn_tokens_is_found_again() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(6000, 40, generator=generator)
    targets = torch.multinomial(torch.softmax(logits / 2.5, -1), 1, generator=generator).squeeze(1)
    assert fit_temperature(logits, targets) == pytest.approx(2.5, rel=0.05)


def test_a_temperature_stays_in_bounds() -> None:
    logits = torch.eye(4) * 5
    assert fit_temperature(logits, torch.arange(4)) == pytest.approx(BOUNDS[0], rel=1e-3)
    assert fit_temperature(logits, (torch.arange(4) + 1) % 4) == pytest.approx(BOUNDS[1], rel=1e-3)


def test_learned_scalars_are_those_of_a_plain_training_loop(bench: Workbench) -> None:
    options = {"steps": 4, "batch": 2, "rate": 0.1, "minimality": 0.3, "seed": 5}
    found = METHODS["activscalar"].find(bench, examples(), wanted("activscalar", **options))
    scalars = [torch.ones(3, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.Adam(scalars, lr=0.1)
    handles = [
        module.register_forward_hook(lambda m, a, out, s=scalar, n=number: out * s[n])
        for scalar, modules in zip(
            scalars, (bench.sites.attention_outputs, bench.sites.mlp_outputs), strict=True
        )
        for number, module in enumerate(modules[LAYER:])
    ]
    for numbers in drawn(range(6), size=2, steps=4, seed=5):  # type: ignore[arg-type]
        optimizer.zero_grad()
        apart = torch.cat(scalars).sub(1).abs().mean()
        loss = sum(nll(bench.model, bench, n) for n in numbers) / 2 + 0.3 * apart  # type: ignore[call-overload]
        for scalar, gradient in zip(scalars, torch.autograd.grad(loss, scalars), strict=True):
            scalar.grad = gradient
        optimizer.step()
    for handle in handles:
        handle.remove()
    for name, scalar in zip(("attention", "mlp"), scalars, strict=True):
        torch.testing.assert_close(found.parameters[name].values, scalar.detach(), **CLOSE)
        assert (scalar.detach() != 1).any()


def adapted(bench: Workbench, layers: Sequence[int]) -> tuple[Any, dict[int, Any]]:
    """A copy of the model inside PEFT's own IA3 adapter on some layers, and its vectors."""
    from peft import IA3Config, get_peft_model

    sites = bench.sites
    targets = [f"{sites.block_path}.{layer}.{sites.projection_path}" for layer in layers]
    config = IA3Config(
        target_modules=targets,
        feedforward_modules=targets,
        fan_in_fan_out=type(sites.projections[0]).__name__ == "Conv1D",
        init_ia3_weights=True,
    )
    model = get_peft_model(copy.deepcopy(bench.model), config)
    named = dict(model.named_parameters())
    return model, {
        layer: named[f"base_model.model.{target}.ia3_l.default"]
        for layer, target in zip(layers, targets, strict=True)
    }


def test_ia3_equals_pefts_own_forward(bench: Workbench) -> None:
    options = {"steps": 4, "rate": 0.2, "batch": 3}
    found = METHODS["ia3"].find(bench, examples(), wanted("ia3", **options))
    model, vectors = adapted(bench, range(LAYER, 4))
    with torch.no_grad():
        for layer, vector in vectors.items():
            learned = found.parameters[f"layer_{layer:03d}"].values
            assert (learned - 1).abs().max() > 0.1
            vector.copy_(learned.view_as(vector))
    expected = log_probs(model)
    build = METHODS["ia3"].build
    assert build is not None
    with amplify(bench.model, build(Fitted(LAYER, found.parameters))):
        torch.testing.assert_close(log_probs(bench.model), expected, **CLOSE)
    assert (expected - log_probs(bench.model)).abs().max() > 1e-3


def test_ia3_learns_what_peft_learns_in_a_plain_loop(bench: Workbench) -> None:
    found = METHODS["ia3"].find(bench, examples(), wanted("ia3", steps=3, rate=0.05, batch=2))
    model, vectors = adapted(bench, range(LAYER, 4))
    optimizer = torch.optim.Adam(vectors.values(), lr=0.05)
    for numbers in drawn(range(6), size=2, steps=3, seed=0):  # type: ignore[arg-type]
        optimizer.zero_grad()
        loss = sum(nll(model, bench, n) for n in numbers) / 2  # type: ignore[call-overload]
        loss.backward()
        optimizer.step()
    for layer, vector in vectors.items():
        got = found.parameters[f"layer_{layer:03d}"].values
        # Adam divides by gradients near zero, which amplifies their last bits
        torch.testing.assert_close(got, vector.detach().reshape(-1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", [n for n, method in METHODS.items() if not method.reads_files])
def test_an_adapter_that_the_model_came_with_stays(bench: Workbench, name: str) -> None:
    """The search runs in the adapted model, and leaves the adapter where it was."""
    from peft import LoraConfig, get_peft_model

    modules = [f"{bench.sites.block_path}.{n}.{bench.sites.projection_path}" for n in (0, 2)]
    torch.manual_seed(1)
    config = LoraConfig(r=2, target_modules=modules, init_lora_weights=False)
    lora = get_peft_model(copy.deepcopy(bench.model), config)
    changed = replace(bench, model=lora, sites=find_sites(lora))
    before, plain = log_probs(lora), log_probs(bench.model)
    assert (before - plain).abs().max() > 1e-3
    names = [path for path, _ in lora.named_modules()]
    METHODS[name].find(changed, examples(labels=True), wanted(name, **_few(name)))
    assert torch.equal(log_probs(lora), before)
    assert [path for path, _ in lora.named_modules()] == names


def _few(name: str) -> dict[str, int]:
    return {"steps": 2} if "steps" in METHODS[name].options else {}


def test_ia3_learns_in_float32_whatever_the_model_is_in(bench: Workbench) -> None:
    half = replace(bench, model=copy.deepcopy(bench.model).to(torch.bfloat16))
    half = replace(half, sites=find_sites(half.model))
    found = METHODS["ia3"].find(half, examples(), wanted("ia3", steps=1, rate=1e-4))
    values = found.parameters["layer_001"].values
    steps = (values - 1).abs()
    # Adam's first step is its rate; next to 1, bfloat16 knows nothing smaller than 0.0039
    assert steps.max() == pytest.approx(1e-4, rel=1e-2)


@pytest.mark.parametrize("name", ["activscalar", "ia3"])
def test_a_step_sees_an_item(bench: Workbench, name: str) -> None:
    with pytest.raises(InputError, match=r"options\.batch: expected at least 1, got 0"):
        METHODS[name].find(bench, examples(), wanted(name, batch=0))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_options_are_numbers_that_a_float_can_hold(value: Any) -> None:
    with pytest.raises(InputError, match=r"options\.rate: expected a number from 0 that a float"):
        METHODS.find("ia3").settle({"rate": value})


@pytest.mark.parametrize("name", ["activscalar", "ia3"])
def test_learning_lowers_the_loss(bench: Workbench, name: str) -> None:
    found = METHODS[name].find(bench, examples(), wanted(name, steps=30, batch=6))
    assert found.remarks["last_loss"] < found.remarks["first_loss"] - 0.1


def test_half_the_strength_is_half_the_way() -> None:
    from sna_eval.intervention import LogitScaling, OutputScaling, Vector

    scalars = {"attention": Vector.of([3.0, 1.0]), "mlp": Vector.of([0.0, 2.0])}
    build = METHODS["activscalar"].build
    assert build is not None
    assert build(Fitted(2, scalars, 0.5)) == (
        OutputScaling(2, "attention", 2.0),
        OutputScaling(3, "attention", 1.0),
        OutputScaling(2, "mlp", 0.5),
        OutputScaling(3, "mlp", 1.5),
    )
    build = METHODS["temperature"].build
    assert build is not None
    assert build(Fitted(3, {"temperature": Vector.of([4.0])}, 0.5)) == (LogitScaling(3, 2.0),)


def test_examples_before_a_question(bench: Workbench) -> None:
    given = examples()
    found = METHODS["few_shot"].find(bench, given, wanted("few_shot", k=2, seed=3))
    texts = [q.context + q.answer for q in (given.questions[n] for n in found.remarks["items"])]
    assert found.parameters["prompt"] == "\n\n".join(texts) + "\n\n"
    with pytest.raises(InputError, match=r"options\.k: expected from 1 to the 6 development items"):
        METHODS["few_shot"].find(bench, given, wanted("few_shot", k=7))
    assert METHODS.find("few_shot").build is not None


def test_every_item_is_drawn_before_one_comes_again() -> None:
    batches = list(drawn(list(range(6)), size=4, steps=3, seed=1))  # type: ignore[arg-type]
    flat = [number for batch in batches for number in batch]
    assert len(flat) == 12
    assert sorted(flat[:6]) == sorted(flat[6:]) == list(range(6))
