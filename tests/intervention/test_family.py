"""Factors per neuron, scaled outputs, added vectors and temperatures against plain computations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from architectures.tiny import build, entries
from sna_eval.errors import InputError
from sna_eval.intervention import (
    Addition,
    Affine,
    Assigned,
    Batch,
    Engine,
    Intervention,
    LogitScaling,
    NeuronScaling,
    OutputScaling,
    Row,
    Vector,
    amplify,
    find_sites,
    probe,
)
from sna_eval.intervention.partial_passes import captured_outputs
from sna_eval.intervention.prompt_pass import SharedPromptPass
from sna_eval.intervention.shortcuts import Prefix, find_shortcuts
from tests.conftest import CONFIGS, build_model, token_ids

LAYER = 2
CLOSE = {"atol": 1e-5, "rtol": 0}
FACTORS = Vector(torch.linspace(0.2, 2.5, 128))
DIRECTION = Vector(torch.linspace(-2.0, 1.5, 32))
TOKEN = 1

Outputs = Callable[[Any, Affine], Any]


def width(model: Any) -> int:
    return find_sites(model).d_mlp


def family(model: Any) -> dict[str, Affine]:
    """One intervention of each kind."""
    factors = Vector(FACTORS.values[: width(model)])
    return {
        "factors": NeuronScaling(LAYER, factors, 0.5),
        "attention": OutputScaling(LAYER, "attention", 1.7),
        "mlp": OutputScaling(LAYER, "mlp", -0.4),
        "addition": Addition(LAYER, DIRECTION, 0.8),
        "one token": Addition(LAYER, DIRECTION, 0.8, token=TOKEN),
        "last block": Addition(3, DIRECTION, 0.8),
        "temperature": LogitScaling(3, 1.6),
    }


NAMES = ("factors", "attention", "mlp", "addition", "one token", "last block", "temperature")


@pytest.fixture(scope="module", params=CONFIGS)
def model(request: pytest.FixtureRequest) -> Any:
    return build_model(request.param, **({"n_inner": 64} if request.param == "gpt2" else {}))


@pytest.fixture(scope="module")
def engine(model: Any) -> Engine:
    sites = find_sites(model)
    plain = Engine(model, sites, probe(model, sites))
    return replace(plain, shortcuts=find_shortcuts(plain))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_numbers_are_rounded_once(dtype: torch.dtype) -> None:
    """As if everything were computed in double precision, and then rounded to the model's dtype."""
    values = torch.randn(7, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    vector = Vector(torch.linspace(-0.01, 0.01, 32))
    wide, numbers = values.double(), vector.values.double()
    for one, exact in (
        (Addition(1, vector, 0.7), wide + 0.7 * numbers),
        (NeuronScaling(1, Vector(vector.values + 1), 0.7), wide * (1 + 0.7 * numbers)),
    ):
        got = one.transform(values)
        assert got.dtype == dtype
        off = (got.double() - exact).abs() / torch.finfo(dtype).eps
        assert float((off / exact.abs()).max()) <= 0.51


COMPONENTS = {
    "gpt2": ("attn.c_proj", "mlp.c_proj"),
    "gpt_neox": ("attention.dense", "mlp.dense_4h_to_h"),
    "gemma2": ("post_attention_layernorm", "post_feedforward_layernorm"),
    "phi": ("self_attn.dense", "mlp.fc2"),
    "opt": ("self_attn.out_proj", "fc2"),
}
"""Whose output each component adds to the residual stream; the others as Llama."""


def output(block: Any, component: str) -> Any:
    (kind,) = (name for name in CONFIGS if type(block).__module__.split(".")[-2] == name)
    paths = COMPONENTS.get(kind, ("self_attn.o_proj", "mlp.down_proj"))
    return block.get_submodule(paths[component == "mlp"])


@torch.no_grad()
def by_hand(model: Any, name: str, ids: torch.Tensor) -> torch.Tensor:
    """Log-probabilities with the intervention of that name, by hooks written here alone."""
    sites = find_sites(model)
    block = sites.blocks[3 if name == "last block" else LAYER]

    def factors(module: Any, args: Any) -> Any:
        return (args[0] * (0.5 + 0.5 * FACTORS.values[: sites.d_mlp]), *args[1:])

    def scaled(factor: float) -> Any:
        return lambda module, args, output: output * factor

    def added(module: Any, args: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        where = slice(TOKEN, TOKEN + 1) if name == "one token" else slice(None)
        hidden[:, where] += 0.8 * DIRECTION.values
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = {
        "factors": lambda: sites.projections[LAYER].register_forward_pre_hook(factors),
        "attention": lambda: output(block, "attention").register_forward_hook(scaled(1.7)),
        "mlp": lambda: output(block, "mlp").register_forward_hook(scaled(-0.4)),
        "addition": lambda: block.register_forward_hook(added),
        "one token": lambda: block.register_forward_hook(added),
        "last block": lambda: block.register_forward_hook(added),
        "temperature": lambda: model.register_forward_hook(lambda *_: None),
    }[name]()
    logits = model(ids).logits
    handle.remove()
    return torch.log_softmax(logits / (1.6 if name == "temperature" else 1.0), -1)


@torch.no_grad()
def log_probs(model: Any, ids: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(model(ids).logits, -1)


def only_token(intervention: Affine, positions: int) -> torch.Tensor | None:
    if intervention.token is None:
        return None
    return torch.arange(positions).unsqueeze(0) == intervention.token


@pytest.mark.parametrize("name", NAMES)
def test_equals_plain_hooks(model: Any, name: str) -> None:
    ids = token_ids(3, 14)
    expected = by_hand(model, name, ids)
    with amplify(model, [family(model)[name]], mask=only_token):
        torch.testing.assert_close(log_probs(model, ids), expected, **CLOSE)
    assert (expected - log_probs(model, ids)).abs().max() > 1e-3  # it does something


@pytest.mark.parametrize("name", NAMES)
def test_scored_rows_equal_plain_hooks(engine: Engine, name: str) -> None:
    """Resumed, whole, and behind a common beginning; one row of two is left alone."""
    intervention = family(engine.model)[name]
    drawn = [tuple(row) for row in token_ids(2, 12, seed=4).tolist()]
    start = drawn[0][:4]
    rows = [
        Row(start + drawn[0][4:6], (drawn[0][6:7],)),
        Row(start + drawn[1][4:5], (drawn[1][5:7],)),
    ]
    whole, prefix = Batch(rows, engine.device), Prefix(start)
    short = Batch(rows, engine.device, skip=4)
    _, captured = engine.run(whole, capture=[intervention.layer])
    alone = [Assigned(intervention, torch.tensor([True, False]))]
    both = [Assigned(intervention, torch.tensor([True, True]))]
    expected = [scored_by_hand(engine.model, name, row) for row in rows]
    plain = [score.branches[0].log_likelihood for score in engine.run(whole)[0]]
    for hidden in (captured[intervention.layer], None):
        got = engine.amplified(whole, alone, hidden=hidden)
        values = [score.branches[0].log_likelihood for score in got]
        assert values == pytest.approx([expected[0], plain[1]], abs=1e-5)
    if not engine.abilities.shares_prefix:
        return
    _, captured = engine.run(short, capture=[intervention.layer], prefix=prefix)
    got = engine.amplified(short, both, hidden=captured[intervention.layer], prefix=prefix)
    assert [s.branches[0].log_likelihood for s in got] == pytest.approx(expected, abs=1e-5)


def scored_by_hand(model: Any, name: str, row: Row) -> float:
    (branch,) = row.branches
    read = by_hand(model, name, torch.tensor([row.context + branch[:-1]]))[0]
    return sum(float(read[len(row.context) - 1 + n, token]) for n, token in enumerate(branch))


@pytest.mark.parametrize("name", NAMES)
def test_generation_equals_plain_hooks(model: Any, name: str) -> None:
    ids, mask = token_ids(2, 7, seed=5), torch.ones(2, 7, dtype=torch.long)
    ids[1, :3], mask[1, :3] = 0, 0
    shared = SharedPromptPass(
        model, find_sites(model), [family(model)[name]],
        decide=lambda log_probs: torch.tensor([False, True]), returns_tuple=False,
    )  # fmt: skip
    with shared.installed():
        output = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=4, do_sample=False,
            eos_token_id=None, pad_token_id=0, output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
    text = ids[1, 3:]
    for step in output.logits:
        expected = by_hand(model, name, text.unsqueeze(0))[0, -1]
        close = {"atol": 2e-5, "rtol": 0}  # a cache changes the order of sums
        torch.testing.assert_close(torch.log_softmax(step[1], -1), expected, **close)
        text = torch.cat([text, expected.argmax().view(1)])


def test_identities_hold_to_the_bit(model: Any) -> None:
    ids = token_ids(3, 14)
    plain = log_probs(model, ids)
    factors = Vector(FACTORS.values[: width(model)])
    identities: list[Affine] = [
        NeuronScaling(LAYER, factors, 0.0),
        NeuronScaling(LAYER, Vector(torch.ones(width(model)))),
        OutputScaling(LAYER, "attention", 1.0),
        Addition(LAYER, DIRECTION, 0.0),
        Addition(LAYER, Vector(torch.zeros(32))),
        LogitScaling(3, 1.0),
    ]
    with amplify(model, identities):
        assert torch.equal(log_probs(model, ids), plain)
    closed = torch.zeros(3, 1, dtype=torch.bool)
    with amplify(model, list(family(model).values()), mask=lambda *_: closed):
        assert torch.equal(log_probs(model, ids), plain)
    assert torch.equal(log_probs(model, ids), plain)


def test_scaling_the_chosen_neurons_is_one_of_the_family(model: Any) -> None:
    factors = torch.ones(width(model))
    factors[[1, 5]] = 3.0
    ids = token_ids(3, 14)
    with amplify(model, [NeuronScaling(LAYER, Vector(factors))]):
        every = log_probs(model, ids)
    with amplify(model, [Intervention(LAYER, (1, 5), 3.0)]):
        torch.testing.assert_close(log_probs(model, ids), every, **CLOSE)


def test_vectors_are_values() -> None:
    same, other = Vector.of([1.0, 2.0]), Vector.of([1.0, 2.5])
    assert same == Vector(torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert len({same, Vector.of([1.0, 2.0]), other}) == 2
    assert Addition(1, same) == Addition(1, Vector.of([1.0, 2.0]))
    assert len({Addition(1, same), Addition(1, other), Addition(1, same, 2.0)}) == 3


def test_what_does_not_fit_is_refused() -> None:
    model = build_model("gpt2")
    for wrong, message in (
        (
            Addition(0, Vector.of([1.0])),
            "vector: expected 32 numbers, as the loaded model has, got 1",
        ),
        (NeuronScaling(0, Vector.of([2.0])), "factors: expected 128 numbers"),
        (OutputScaling(7, "mlp", 2.0), "layer: expected a layer from 0 to 3"),
        (LogitScaling(7, 2.0), "layer: expected a layer from 0 to 3"),
    ):
        with pytest.raises(InputError, match=message), amplify(model, [wrong]):
            pass
    no_attention = replace(find_sites(model), attention_outputs=())
    with (
        pytest.raises(InputError, match=r"component: expected one whose output is known \(GPT2"),
        amplify(model, [OutputScaling(0, "attention", 2.0)], sites=no_attention),
    ):
        pass
    for make, message in (
        (lambda: LogitScaling(0, 0.0), "temperature: expected a number above 0"),
        (lambda: Addition(0, DIRECTION, float("nan")), "strength: expected a finite number"),
        (lambda: Vector.of([float("inf")]), "parameters: expected a list of finite numbers"),
        (lambda: NeuronScaling(0, FACTORS, 1.0, "first"), "positions: expected one of all"),  # type: ignore[arg-type]
    ):
        with pytest.raises(InputError, match=message):
            make()
    with (
        pytest.raises(ValueError, match="need a `mask`"),
        amplify(model, [Addition(0, DIRECTION, token=1)]),
    ):
        pass


def test_blocks_that_return_a_list() -> None:
    """As the first GPT's do: what leaves one is its first element."""
    model = build(entries()["openai-gpt"])
    sites, ids = find_sites(model), token_ids(2, 9)
    with torch.no_grad(), captured_outputs(sites, [1, 2]) as left:
        states = model(ids, output_hidden_states=True).hidden_states
    assert torch.equal(left[1], states[2])
    assert torch.equal(left[2], states[3])
    with amplify(model, [Addition(1, DIRECTION, 0.8)]), captured_outputs(sites, [1]) as moved:
        log_probs(model, ids)
    torch.testing.assert_close(moved[1], left[1] + 0.8 * DIRECTION.values, **CLOSE)
