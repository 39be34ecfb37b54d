"""Planted circuits give the original back; the chain runs on them and on nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.harness.loading import load_lm, load_tasks
from sna_eval.intervention import Intervention, amplify
from sna_eval.study.nulls import NullOptions
from sna_eval.study.nulls.searching import run_search
from sna_eval.study.nulls.task_search import TaskSearch
from sna_eval.study.verdict import RegisterOptions
from sna_eval.study.verdict.harm import repeated_share
from sna_eval.study.verdict.planted import circuits, weakened
from sna_eval.study.verdict.selfcheck import Rate, self_check


def test_amplifying_a_weakened_circuit_restores_the_model(
    lm: Any, load: Callable[..., dict[str, Any]]
) -> None:
    options = NullOptions(n_neurons=(2, 5), multipliers=(1.5, 3.0), tokens_per_pass=200)
    search = TaskSearch(lm, "own_open", load("own_open")["own_open"], options)
    circuit = circuits(search)[0]
    assert (len(circuit.neurons), circuit.multiplier) == (5, 3.0)
    ids = torch.arange(3, 30)[None]
    with torch.no_grad():
        expected = lm.model(ids).logits
        with weakened(lm, circuit) as folder:
            copy = load_lm(f"pretrained={folder}", gate="never")
            assert copy.model_hash != lm.model_hash
            weak = copy.model(ids).logits
            planted = Intervention(circuit.layer, circuit.neurons, circuit.multiplier)
            with amplify(copy.model, [planted], sites=copy.engine.sites):
                restored = copy.model(ids).logits
        after = lm.model(ids).logits
    assert (weak - expected).abs().max() > 1e-4
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)
    assert torch.equal(after, expected)
    assert not Path(folder).exists()


def test_a_planted_circuit_is_found_in_the_bundled_model() -> None:
    """A hundred neurons of layer 0, weakened: the search finds them, and no random ranking does."""
    name, (task,) = "sna_poetry_easy", load_tasks(["sna_poetry_easy"]).values()
    options = NullOptions(
        layers=(0, 5), n_neurons=(100,), multipliers=(2.4,), measured=2, draws=19, limit=30,
        others=1,
    )  # fmt: skip
    lm = load_lm("pretrained=sna-reference", gate="never")
    circuit = circuits(TaskSearch(lm, name, task, options))[0]
    with weakened(lm, circuit) as folder:
        copy = load_lm(f"pretrained={folder}", gate="never")
        found = run_search(TaskSearch(copy, name, task, options), quiet=True)
    (neurons,) = found.claim.neurons.values()
    assert found.claim.layer == circuit.layer
    shared = set(neurons) & set(circuit.neurons)
    assert len(shared) > 70, "half of the items ranks nearly what all of them do"
    assert found.p == 0.05
    assert found.claim.gain > 0.5 * circuit.effect > 0


def test_a_circuit_is_worth_what_it_is_where_it_is_worth_least(
    lm: Any, load: Callable[..., dict[str, Any]]
) -> None:
    options = NullOptions(n_neurons=(5,), multipliers=(3.0,), tokens_per_pass=200)
    search = TaskSearch(lm, "own_open", load("own_open")["own_open"], options)
    found = circuits(search)
    assert [circuit.effect for circuit in found] == sorted(
        (circuit.effect for circuit in found), reverse=True
    )
    for circuit in found:
        weak = Intervention(circuit.layer, circuit.neurons, 1 / 3.0)
        (tested,) = search.test.measure([weak])
        on_test = -float((tested.specific * search.test.opened).mean())
        halves = (search.choosing, search.ranking_half)
        on_halves = [-float(half.pushes([weak]).gains[0]) for half in halves]
        assert circuit.effect == pytest.approx(min(on_test, *on_halves), abs=1e-6)


def test_self_check_counts_both_kinds(
    lm: Any, asked: Callable[..., RegisterOptions], tmp_path: Path
) -> None:
    found = self_check(lm, asked(), repetitions=1, output=tmp_path, quiet=True)
    assert [(trial.kind, trial.number) for trial in found.trials] == [
        ("planted", 0),
        ("nothing", 0),
    ]
    planted, nothing = found.trials
    assert planted.planted_layer in (0, 1, 2)
    assert planted.chance is not None
    assert found.planted() == [planted]
    assert nothing.planted_layer is None
    assert {(rate.task, rate.kind, rate.trials) for rate in found.rates()} == {
        (task, kind, 1) for task in ("own_open", "all") for kind in ("planted", "nothing")
    }
    again = self_check(lm, asked(), repetitions=1, output=tmp_path, quiet=True)
    assert again == found


def test_rates_have_exact_bounds() -> None:
    rate = Rate("all", "planted", 18, 20)
    low, high = rate.interval
    assert (rate.share, low, high) == (
        0.9, pytest.approx(0.6830, abs=1e-4), pytest.approx(0.9877, abs=1e-4),
    )  # fmt: skip


def test_repeated_trigrams() -> None:
    assert repeated_share([1, 2, 3, 4, 5]) == 0.0
    assert repeated_share([7, 7, 7, 7, 7]) == pytest.approx(2 / 3)
    assert repeated_share([1, 2]) == 0.0
