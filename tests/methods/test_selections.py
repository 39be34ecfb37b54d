"""Neurons by attribution and at random, as a plan asks for them.

Attribution is held against autograd through plain hooks, one unpadded prompt at a time; random
neurons against the control that draws them, and their scores against means by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.intervention import find_sites
from sna_eval.intervention.projections import written
from sna_eval.methods import METHODS, Examples, Question, Workbench
from sna_eval.neurons import SearchConfig, Selected, stand_ins
from sna_eval.plan import (
    Plan,
    PlannedIntervention,
    TaskPlan,
    load_plan,
    parse_plan,
    plan_fingerprint,
    resolve_task,
    save_plan,
)
from tests.methods.conftest import LAYER, examples, shaped_model, wanted

PROJECTIONS = {
    "gpt2": f"transformer.h.{LAYER}.mlp.c_proj",
    "llama": f"model.layers.{LAYER}.mlp.down_proj",
    "gpt_neox": f"gpt_neox.layers.{LAYER}.mlp.dense_4h_to_h",
}
COUNT = 7


def resolved(
    bench: Workbench, given: Examples, select: dict[str, Any], **entry: Any
) -> PlannedIntervention:
    """What a plan file's entry finds."""
    raw = {"layer": LAYER, "multiplier": 2.0, "select": {"top_k": COUNT, **select}, **entry}
    plan = parse_plan({"version": 1, "tasks": {"t": {"interventions": [raw]}}})
    (found,) = resolve_task(plan.tasks["t"], bench, lambda most: given).interventions
    return found


def pass_by_hand(model: Any, ids: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of one text, and what enters the projection, both `[token, ...]` with their graph."""
    seen: list[torch.Tensor] = []
    projection = model.get_submodule(PROJECTIONS[model.config.model_type])
    handle = projection.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.enable_grad():
        logits = model(torch.tensor([list(ids)])).logits[0]
    handle.remove()
    return logits, seen[0]


def attribution_by_hand(bench: Workbench, question: Question, window: int) -> np.ndarray:
    """Activation times gradient of the answer's log-probability, over all tokens but the first."""
    ids = list(bench.encode(question.context + question.answer))
    n_answer = len(ids) - len(bench.encode(question.context))
    ids = ids[-(window + 1) :]  # the last is predicted, never read
    logits, activations = pass_by_hand(bench.model, ids)
    places = range(len(ids) - n_answer, len(ids))
    target = sum(logits.log_softmax(dim=-1)[place - 1, ids[place]] for place in places)
    (gradient,) = torch.autograd.grad(target, [activations])
    values: np.ndarray = (activations * gradient)[0][1:].sum(dim=0).detach().double().numpy()
    return values


@pytest.mark.parametrize("window", [6, 256])
def test_attribution_equals_autograd(bench: Workbench, window: int) -> None:
    given = examples()
    expected = np.mean([attribution_by_hand(bench, q, window) for q in given.questions], axis=0)
    found = resolved(replace(bench, max_length=window), given, {"method": "attribution"})
    assert found.neurons is not None
    assert found.scores is not None
    assert list(found.neurons[""]) == np.argsort(-expected)[:COUNT].tolist()
    assert found.scores[""] == pytest.approx(np.sort(expected)[::-1][:COUNT], abs=1e-5)


def test_attribution_says_how_it_was_found(bench: Workbench) -> None:
    found = resolved(bench, examples(), {"method": "attribution"}).found
    plain = resolved(bench, examples(), {"method": "differential"}).found
    assert found is not None
    assert plain is not None
    assert (found.method, found.top_k, found.n_answers) == ("attribution", COUNT, 6)
    assert (found.reference, found.pooling, found.seed) == (None, None, None)
    assert found.prompt_hash == plain.prompt_hash
    assert plain.answer_hash is None


def test_other_answers_are_another_search(bench: Workbench) -> None:
    """Though the prompts are the same; a search that is kept must not stand in for it."""
    given = examples()
    other = replace(given, questions=tuple(replace(q, right=1) for q in given.questions))
    first, second = (resolved(bench, e, {"method": "attribution"}) for e in (given, other))
    assert first.found is not None
    assert second.found is not None
    assert first.found.prompt_hash == second.found.prompt_hash
    assert first.found.answer_hash != second.found.answer_hash
    assert first.scores != second.scores


@pytest.mark.parametrize("method", ["attribution", "differential"])
def test_another_window_is_another_search(bench: Workbench, method: str) -> None:
    """A search in shorter prompts must not stand in for one in longer ones."""
    given = examples()
    first, second = (
        resolved(replace(bench, max_length=window), given, {"method": method})
        for window in (6, 256)
    )
    assert first.scores != second.scores


def test_bottom_neurons_have_the_least_attribution(bench: Workbench) -> None:
    given = examples()
    expected = np.mean([attribution_by_hand(bench, q, 256) for q in given.questions], axis=0)
    found = resolved(bench, given, {"method": "attribution"}, method="bottom_neurons")
    assert found.neurons is not None
    assert list(found.neurons[""]) == np.argsort(expected)[:COUNT].tolist()


@pytest.mark.parametrize("seed", [0, 3])
def test_random_is_the_controls_own_draw(bench: Workbench, seed: int) -> None:
    given = examples()
    drawn = resolved(bench, given, {"method": "random", "seed": seed})
    control = resolved(bench, given, {}, method="random_neurons", options={"seed": seed})
    replaced = resolved(bench, given, {"method": "differential"})
    assert drawn.neurons == control.neurons
    assert drawn.neurons is not None
    assert replaced.neurons is not None
    assert len(drawn.neurons[""]) == len(replaced.neurons[""])
    assert not {*drawn.neurons[""]} & {*replaced.neurons[""]}
    assert drawn.found is not None
    assert (drawn.found.method, drawn.found.seed) == ("random", seed)


def test_random_scores_are_pushes(bench: Workbench) -> None:
    given = examples()
    with torch.no_grad():
        passes = [pass_by_hand(bench.model, bench.encode(text))[1][0][1:] for text in given.prompts]
    sizes = torch.cat(passes).double().square().mean(dim=0).sqrt().detach()
    pushes = sizes * written(bench.sites.projections[LAYER]).double().norm(dim=1)
    drawn = resolved(bench, given, {"method": "random"})
    assert drawn.neurons is not None
    assert drawn.scores is not None
    assert drawn.scores[""] == pytest.approx(pushes[list(drawn.neurons[""])].numpy(), abs=1e-5)


def test_random_draws_differ_by_their_seed_alone(bench: Workbench) -> None:
    draws = [
        resolved(bench, examples(), {"method": "random", **seed}).neurons
        for seed in ({}, {"seed": 0}, {"seed": 1}, {"seed": 2})
    ]
    assert draws[0] == draws[1]
    assert len({str(draw) for draw in draws}) > 1


def test_nothing_is_left_behind(bench: Workbench) -> None:
    ids = torch.tensor([[3, 5, 7, 11, 13]])
    with torch.no_grad():
        before = bench.model(ids).logits
        for selection in ("attribution", "gradient", "random"):
            asked = replace(wanted("sna"), config=SearchConfig(selection))
            METHODS["sna"].find(bench, examples(), asked)
        assert torch.equal(bench.model(ids).logits, before)
    assert all(p.requires_grad and p.grad is None for p in bench.model.parameters())
    assert not any(m._forward_pre_hooks for m in bench.model.modules())


@pytest.fixture(scope="module")
def plain(word_tokenizer: Any) -> Workbench:
    model = shaped_model("gpt2")
    return Workbench(model, find_sites(model), word_tokenizer.encode)


@pytest.mark.parametrize(
    ("select", "given", "message"),
    [
        (
            {"method": "attribution"},
            replace(examples(), questions=()),
            "select.method: expected a task scored by log-likelihood for `attribution`",
        ),
        (
            {"method": "attribution", "top_k": 129},
            examples(),
            "select.top_k: expected at most 128, the layer's neurons, got 129",
        ),
    ],
)
def test_refuses(plain: Workbench, select: dict[str, Any], given: Examples, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolved(plain, given, select)


def test_too_many_stand_ins_are_refused(plain: Workbench) -> None:
    chosen = {"": Selected(tuple(range(65)), (0.0,) * 65)}
    with pytest.raises(InputError, match=r"select\.top_k: expected at most 64 neurons .*, got 65"):
        stand_ins(torch.zeros(plain.sites.d_mlp), chosen, seed=0)


def test_gradients_that_overflow_are_refused(word_tokenizer: Any) -> None:
    model = shaped_model("gpt2")
    with torch.no_grad():
        model.transformer.h[LAYER].mlp.c_proj.weight[:9] = torch.inf
    bench = Workbench(model, find_sites(model), word_tokenizer.encode)
    with pytest.raises(
        InputError, match=r"expected finite gradients, .* dtype=float32 or bfloat16"
    ):
        resolved(bench, examples(), {"method": "attribution"})


def test_a_resolved_plan_comes_back_equal(bench: Workbench, tmp_path: Path) -> None:
    for select in ({"method": "attribution"}, {"method": "gradient"}, {"method": "random"}):
        entry = resolved(bench, examples(), select)
        plan = Plan({"t": TaskPlan(Gate(), (entry,))})
        save_plan(plan, tmp_path / "plan.yaml")
        assert load_plan(tmp_path / "plan.yaml") == plan
        assert plan_fingerprint(load_plan(tmp_path / "plan.yaml")) == plan_fingerprint(plan)
