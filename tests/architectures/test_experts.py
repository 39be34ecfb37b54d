"""Neurons of experts: routed tokens only, and nothing of the model's own result is disturbed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from architectures.tiny import build, entries
from sna_eval.errors import InputError
from sna_eval.intervention import Intervention, Row, amplify, find_sites
from sna_eval.intervention.projections import written_by
from sna_eval.intervention.stream import writing_weights
from sna_eval.intervention.verification import scaled_weights
from sna_eval.neurons import mean_activations
from sna_eval.neurons.attribution import attribution_scores
from tests.conftest import token_ids

LAYER = 2


@pytest.fixture(scope="module", params=["mixtral", "gpt_oss", "qwen2_moe"])
def model(request: pytest.FixtureRequest) -> Any:
    return build(entries()[request.param])


@torch.no_grad()
def log_probs(model: Any, rows: int = 3) -> torch.Tensor:
    return torch.log_softmax(model(token_ids(rows, 14)).logits, -1)


def routes(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What the experts of the layer are given, and which each token goes to."""
    seen: dict[str, torch.Tensor] = {}
    block = find_sites(model).blocks[LAYER]

    def keep(module: Any, args: Any) -> None:
        seen["hidden"], seen["index"] = args[0], args[1]

    handle = block.mlp.experts.register_forward_pre_hook(keep)
    log_probs(model)
    handle.remove()
    return seen["hidden"], seen["index"]


def activations(model: Any) -> torch.Tensor:
    """`[token, neuron]` as hooks see them."""
    seen: list[torch.Tensor] = []
    projection = find_sites(model).projections[LAYER]
    handle = projection.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    log_probs(model)
    handle.remove()
    return seen[0]


def test_only_routed_tokens_have_activations(model: Any) -> None:
    sites = find_sites(model)
    _, index = routes(model)
    by_expert = activations(model).unflatten(-1, (sites.n_experts, -1))
    for expert in range(sites.n_experts):
        routed = (index == expert).any(-1)
        assert bool((by_expert[routed, expert] != 0).any(-1).all())
        assert bool((by_expert[~routed, expert] == 0).all())


def test_activations_are_what_the_output_projection_reads(model: Any) -> None:
    """Summed with shares by hand, they give what the experts gave, but for the biases."""
    experts = find_sites(model).blocks[LAYER].mlp.experts
    seen: dict[str, Any] = {}

    def keep(module: Any, args: Any, output: torch.Tensor) -> None:
        seen["args"], seen["output"] = args, output

    handle = experts.register_forward_hook(keep)
    values = activations(model)
    handle.remove()
    _, index, weights = seen["args"]
    by_expert = values.unflatten(-1, (experts.num_experts, -1))
    for token in range(5):
        expected = torch.zeros(32)
        for place, expert in enumerate(index[token].tolist()):
            down = experts.down_proj[expert]
            written = by_expert[token, expert] @ (down if experts.is_transposed else down.T)
            if experts.has_bias:
                written = written + experts.down_proj_bias[expert]
            expected = expected + weights[token, place] * written
        torch.testing.assert_close(seen["output"][token], expected, atol=1e-5, rtol=1e-5)


def test_tokens_that_are_not_routed_stay_to_the_bit(model: Any) -> None:
    sites = find_sites(model)
    _, index = routes(model)
    width = sites.d_mlp // sites.n_experts
    intervention = Intervention(LAYER, tuple(range(width)), 3.0)  # all of expert 0
    plain = _experts_output(model, [])
    changed = _experts_output(model, [intervention])
    routed = (index == 0).any(-1)
    assert torch.equal(plain[~routed], changed[~routed])
    assert bool((plain[routed] != changed[routed]).any(-1).all())


def _experts_output(model: Any, interventions: list[Intervention]) -> torch.Tensor:
    """What the layer's experts give, interventions included."""
    seen: list[torch.Tensor] = []
    with amplify(model, interventions):
        experts = find_sites(model).blocks[LAYER].mlp.experts
        handle = experts.register_forward_hook(lambda module, args, output: seen.append(output))
        log_probs(model)
        handle.remove()
    return seen[0]


def test_rows_that_are_closed_stay_to_the_bit(model: Any) -> None:
    sites = find_sites(model)
    rows = torch.tensor([[True], [False], [True]])
    intervention = Intervention(LAYER, tuple(range(0, sites.d_mlp, 3)), 3.0)
    with amplify(model, [intervention], mask=lambda *_: rows):
        mixed = log_probs(model)
    plain = log_probs(model)
    assert torch.equal(mixed[1], plain[1])
    assert (mixed[0] - plain[0]).abs().max() > 1e-3
    assert not sites.blocks[LAYER].mlp.experts._forward_hooks


def test_what_all_neurons_write_is_what_each_writes(model: Any) -> None:
    projection = find_sites(model).projections[LAYER]
    together = writing_weights(find_sites(model), LAYER)
    for neuron in range(together.shape[0]):
        assert torch.equal(together[neuron], written_by(projection, neuron).double())


def test_two_interventions_on_one_layer(model: Any) -> None:
    sites = find_sites(model)
    first = Intervention(LAYER, (1, sites.d_mlp - 1), 2.0)
    second = Intervention(LAYER, (5, sites.d_mlp // 2), 3.0)
    with amplify(model, [first, second], sites=sites):
        both = log_probs(model)
    with scaled_weights(sites, first), scaled_weights(sites, second):
        folded = log_probs(model)
    torch.testing.assert_close(both, folded, atol=1e-5, rtol=0)


def test_selection_sees_experts(model: Any) -> None:
    sites = find_sites(model)
    rows = [row.tolist() for row in token_ids(3, 14)]
    means = mean_activations(model, sites, rows, layers=[LAYER], sinks="keep")[LAYER]
    torch.testing.assert_close(means, activations(model).double().mean(0), atol=1e-6, rtol=1e-5)


def test_attribution_is_a_derivative(model: Any) -> None:
    """Against the slope of the log-probability in the factor, by finite differences.

    At the last layer: before it, a change may send tokens to other experts, which is no slope.
    """
    last = 3
    sites = find_sites(model)
    ids = token_ids(1, 10)[0].tolist()
    row = Row(tuple(ids[:9]), ((ids[9],),))
    scores = attribution_scores(model, sites, [row], layers=[last], sinks="keep")[last]
    neuron = int(scores.abs().argmax())

    def value(factor: float) -> float:
        with torch.no_grad(), amplify(model, [Intervention(last, (neuron,), factor)]):
            logits = model(torch.tensor([ids[:9]])).logits[0, -1]
        return float(torch.log_softmax(logits, -1)[ids[9]])

    slope = (value(1 + 1e-2) - value(1 - 1e-2)) / 2e-2
    assert abs(slope) > 1e-2
    assert float(scores[neuron]) == pytest.approx(slope, rel=2e-2)


def test_blocks_of_another_kind_are_refused() -> None:
    model = build(entries()["qwen2_moe"])
    sites = find_sites(model)
    assert sites.layers == (1, 2, 3)
    with (
        pytest.raises(InputError, match=r"layer: expected a layer with 96 neurons .*: 1, 2, 3"),
        amplify(model, [Intervention(0, (1,), 2.0)], sites=sites),
    ):
        pass


def test_encoders_are_refused() -> None:
    from sna_eval.intervention import probe

    model = build(entries()["roberta"])
    with pytest.raises(InputError, match="a decoder, whose tokens do not see later ones"):
        probe(model, find_sites(model))


def test_exports_of_experts_are_refused() -> None:
    from sna_eval.export import Source
    from sna_eval.gating import Gate
    from sna_eval.plan import PlannedIntervention, TaskPlan

    model = build(entries()["mixtral"])
    plan = TaskPlan(Gate(mode="always"), (PlannedIntervention(1, 2.0, neurons={"": (3,)}),))
    with pytest.raises(InputError, match=r"one output projection a layer, got 'MixtralFor.*4 exp"):
        Source(model, None, find_sites(model), "own", plan, "tiny")
