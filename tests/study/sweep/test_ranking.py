"""Rankings of all layers at once against the plan's own `select:`, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.tasks.live_tasks import examples_of
from sna_eval.measuring.items import answered_rows, load_items
from sna_eval.methods import Examples, Workbench
from sna_eval.neurons import attribution, attribution_scores
from sna_eval.plan import PlannedIntervention, Selection, TaskPlan, resolve_task
from sna_eval.study.sweep.ranking import Method, Ranker

LAYERS = (0, 2)


@pytest.fixture
def bench(lm: Any) -> Workbench:
    return Workbench(lm.model, lm.sites, lm.tok_encode)


def none() -> Any:
    raise AssertionError("answers are for `attribution` alone")


@pytest.mark.parametrize(
    ("method", "task"), [("differential", "own_open"), ("contrastive", "own_labels")]
)
@pytest.mark.parametrize("count", [2, 5])
def test_equals_the_plans_selection(
    bench: Workbench, load: Callable[..., Any], method: Method, task: str, count: int
) -> None:
    examples = examples_of(load(task)[task])
    ranker = Ranker(bench, LAYERS)
    rankings = ranker.rank(method, examples, none, top_k=9)
    for layer in LAYERS:
        select = Selection(method=method, top_k=count)  # type: ignore[arg-type]
        entry = PlannedIntervention(layer=layer, multiplier=2.0, select=select)
        (expected,) = resolve_task(TaskPlan(Gate(), (entry,)), bench, examples).interventions
        own = rankings[layer].first(count)
        assert {label: chosen.neurons for label, chosen in own.items()} == expected.neurons
        found = ranker.found(method, examples, rankings[layer], count)
        assert expected.found is not None
        shared = {key: expected.found[key] for key in found if key in expected.found}
        assert {key: found[key] for key in shared} == shared
        assert {"model_hash", "prompt_hash", "n_prompts", "method", "top_k"} <= set(shared)


@pytest.mark.parametrize("task", ["own_open", "own_labels"])
@pytest.mark.parametrize(
    "select", [Selection("attribution", top_k=5), Selection("random", top_k=5, seed=3)]
)
def test_equals_the_plans_other_selections(
    bench: Workbench, lm: Any, load: Callable[..., Any], select: Selection, task: str
) -> None:
    """Random neurons for the largest count, which here is the only one."""
    own = load(task)[task]
    examples, items = examples_of(own), load_items(own, lm, split="development")
    ranker = Ranker(bench, LAYERS, seed=3)
    rankings = ranker.rank(
        select.method, examples, lambda: answered_rows(items, max_length=lm.max_length), top_k=5
    )
    for layer in LAYERS:
        entry = PlannedIntervention(layer=layer, multiplier=2.0, select=select)
        (expected,) = resolve_task(TaskPlan(Gate(), (entry,)), bench, examples).interventions
        assert expected.neurons == {"": rankings[layer].selected[""].neurons}
        assert expected.scores is not None
        scores = rankings[layer].selected[""].scores
        assert expected.scores[""] == pytest.approx(scores, abs=1e-5)
        found = ranker.found(select.method, examples, rankings[layer], 5)
        assert expected.found is not None
        shared = {key: expected.found[key] for key in found if key in expected.found}
        assert {key: found[key] for key in shared} == shared
        assert {"model_hash", "prompt_hash", "n_prompts", "method", "top_k"} <= set(shared)
        assert ("answer_hash" in shared) == (select.method == "attribution")


def test_attribution_ranks_by_the_right_answers(
    bench: Workbench, lm: Any, load: Callable[..., Any]
) -> None:
    task = load("own_open")["own_open"]
    rows = answered_rows(load_items(task, lm, split="development"), max_length=64)
    rankings = Ranker(bench, LAYERS).rank("attribution", examples_of(task), lambda: rows, top_k=4)
    scores = attribution_scores(bench.model, bench.sites, rows, layers=[2])
    assert rankings[2].selected == {"": attribution(scores[2], top_k=4)}


def test_random_neurons_stand_in_for_the_differential_ones(
    bench: Workbench, load: Callable[..., Any]
) -> None:
    examples = examples_of(load("own_open")["own_open"])

    def ranked(method: Method, seed: int = 0) -> tuple[int, ...]:
        rankings = Ranker(bench, LAYERS, seed=seed).rank(method, examples, none, top_k=6)
        return rankings[0].selected[""].neurons

    drawn = ranked("random")
    assert len(drawn) == 6
    assert not set(drawn) & set(ranked("differential"))
    assert drawn == ranked("random")
    assert drawn != ranked("random", seed=1)


def test_contrastive_needs_two_labels(bench: Workbench, load: Callable[..., Any]) -> None:
    open_task = examples_of(load("own_open")["own_open"])
    one_sided = Examples(("a", "b"), (0, 0), ("x", "y"))
    for examples in (open_task, one_sided):
        with pytest.raises(InputError, match="select: expected a task with exactly two labels"):
            Ranker(bench, LAYERS).rank("contrastive", examples, none, top_k=2)


def test_contrastive_sets_must_fit(bench: Workbench, load: Callable[..., Any]) -> None:
    examples = examples_of(load("own_labels")["own_labels"])
    with pytest.raises(InputError, match="n_neurons: expected at most 64, half of the layer"):
        Ranker(bench, LAYERS).rank("contrastive", examples, none, top_k=65)


def test_methods_have_names(bench: Workbench) -> None:
    with pytest.raises(InputError, match="select: expected one of differential, contrastive"):
        Ranker(bench, LAYERS).rank("best", Examples(("a",)), none, top_k=2)  # type: ignore[arg-type]
