"""Searched nulls: measured as plain hooks measure, the same for claim and null, taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.intervention import Intervention, amplify
from sna_eval.study.nulls import Found, NullOptions, SearchedNull, searched_null
from sna_eval.study.nulls import searching as searching_module
from sna_eval.study.nulls.task_search import TaskSearch

SMALL: dict[str, Any] = {
    "n_neurons": (2, 5), "multipliers": (1.5, 2.0, 3.0), "draws": 3, "others": 2,
    "tokens_per_pass": 200,
}  # fmt: skip


@pytest.fixture
def search(lm: Any, load: Callable[..., dict[str, Any]]) -> Callable[..., SearchedNull]:
    """A searched null on one of the user's tasks."""

    def run(name: str = "own_open", output: Path | None = None, **options: Any) -> SearchedNull:
        (task,) = load(name).values()
        asked = NullOptions(**{**SMALL, **options})
        return searched_null(lm, name, task, asked, output=output, quiet=True)

    return run


@pytest.fixture
def inside(lm: Any, load: Callable[..., dict[str, Any]]) -> Callable[..., TaskSearch]:
    """The parts of such a search."""

    def make(name: str = "own_open", **options: Any) -> TaskSearch:
        return TaskSearch(lm, name, load(name)[name], NullOptions(**{**SMALL, **options}))

    return make


def _log_prob(lm: Any, context: str, answer: str) -> torch.Tensor:
    """Log-probability of an answer by a plain forward pass, in float64."""
    tokens, behind = lm._encode_pair(context, answer)
    ids = torch.tensor([[*tokens, *behind]])
    with torch.no_grad():
        logits = lm.model(ids).logits[0].double().log_softmax(-1)
    return sum(
        (logits[len(tokens) + place - 1, token] for place, token in enumerate(behind)),
        start=torch.zeros((), dtype=torch.float64),
    )


def _log_odds(log_prob: float) -> float:
    prob = np.exp(log_prob)
    return float(np.log(prob / (1 - prob)))


@pytest.mark.parametrize("options", [{}, {"unit": "head", "n_neurons": (1, 2)}], ids=str)
def test_gain_and_specific_part_against_plain_hooks(
    lm: Any, load: Callable[..., dict[str, Any]], search: Callable[..., SearchedNull],
    inside: Callable[..., TaskSearch], options: dict[str, Any],
) -> None:  # fmt: skip
    found = search(**options).claim
    docs = list(load("own_open")["own_open"].eval_docs)
    asked = inside(**options).test.answers
    ((neurons),) = found.neurons.values()
    unit = options.get("unit", "mlp")
    intervention = Intervention(found.layer, neurons, found.multiplier, unit=unit)

    def odds(prompt: int, answer: int) -> float:
        return _log_odds(float(_log_prob(lm, docs[prompt]["text"], " " + docs[answer]["answer"])))

    contexts = {
        asked.requests[choices.choices[0]][0]: n for n, choices in enumerate(asked.on_own_prompt)
    }
    others = [
        [contexts[asked.requests[one.choices[0]][0]] for one in foreign] for foreign in asked.others
    ]
    pairs = [(n, n) for n in range(len(docs))]
    pairs += [(prompt, n) for n, prompts in enumerate(others) for prompt in prompts]
    before = {pair: odds(*pair) for pair in pairs}
    with amplify(lm.model, [intervention], sites=lm.sites):
        after = {pair: odds(*pair) for pair in pairs}
    change = {pair: after[pair] - before[pair] for pair in pairs}
    for number, prompts in enumerate(others):
        assert len(prompts) == 2
        assert all(docs[prompt]["answer"] != docs[number]["answer"] for prompt in prompts)
        shift = np.mean([change[prompt, number] for prompt in prompts])
        assert found.shift[number] == pytest.approx(shift, abs=2e-5)
        assert found.specific[number] == pytest.approx(change[number, number] - shift, abs=2e-5)
        assert found.after.log_odds[number] == pytest.approx(after[number, number], abs=2e-5)
    assert found.gain == pytest.approx(float(np.mean(found.specific)), abs=1e-7)


def test_standing_of_answers_by_hand(lm: Any, inside: Callable[..., TaskSearch]) -> None:
    items = inside().test
    record = items.record().baseline
    for number, item in enumerate(items.answers.items.items):
        request = item.requests[0]
        ids = torch.tensor([[*request.context, *request.continuation]])
        with torch.no_grad():
            logits = lm.model(ids).logits[0, len(request.context) - 1 : -1].log_softmax(-1)
        first, token = logits[0], request.continuation[0]
        rivals = torch.cat([first[:token], first[token + 1 :]])
        assert record.margin[number] == pytest.approx(float(first[token] - rivals.max()), abs=1e-4)
        assert record.rank[number] == 1 + int((first > first[token]).sum())
        greedy = tuple(logits.argmax(-1).tolist()) == request.continuation
        assert record.correct[number] == greedy


def test_divergence_against_its_formula(lm: Any, inside: Callable[..., TaskSearch]) -> None:
    items = inside().choosing
    one = Intervention(1, (3, 4, 9), 4.0)
    (kl,) = items.pushes([one]).kls
    by_hand = []
    for item in items.answers.items.items:
        ids = torch.tensor([item.requests[0].context])
        with torch.no_grad():
            base = lm.model(ids).logits[0, -1].double().log_softmax(-1)
            with amplify(lm.model, [one], sites=lm.sites):
                changed = lm.model(ids).logits[0, -1].double().log_softmax(-1)
        by_hand.append(float((base.exp() * (base - changed)).sum()))
    assert kl == pytest.approx(np.mean(by_hand), rel=1e-3)
    assert items.kls([one])[0] == pytest.approx(kl, rel=1e-3)  # of prompts without their answers


@pytest.mark.parametrize("name", ["own_open", "own_labels", "own_choices"])
def test_slopes_are_derivatives_of_the_measured_gain(
    name: str, inside: Callable[..., TaskSearch]
) -> None:
    ranked = inside(name, multipliers=(1.5,), select="differential")
    for layer in ranked.grid.layers:
        for neurons in ((0, 1, 2), (7, 30)):
            step = 1e-2
            sets = [Intervention(layer, neurons, 1 + sign * step) for sign in (1, -1)]
            up, down = ranked.choosing.pushes(sets).gains
            slope = ranked.slopes[layer][list(neurons)].sum()
            assert slope == pytest.approx((up - down) / (2 * step), rel=0.05, abs=2e-4)


def test_equal_pushes_and_equal_search(search: Callable[..., SearchedNull]) -> None:
    found = search(draws=6)
    for null in found.nulls:
        assert null.push_reached
        assert null.kl == pytest.approx(null.kl_wanted, rel=0.06)
    assert len({null.neurons[""] for null in found.nulls}) == 6
    plain = search(draws=6, equal_push=False)
    assert all(null.multiplier == null.searched_multiplier for null in plain.nulls)
    assert any(
        one.multiplier != two.multiplier for one, two in zip(found.nulls, plain.nulls, strict=True)
    )


def test_a_placebo_is_searched_like_a_null(
    search: Callable[..., SearchedNull], inside: Callable[..., TaskSearch]
) -> None:
    placebo = inside(select="random", claim_seed=5)
    claim = placebo.claim()
    (again,) = placebo.search_all({7: placebo.claimed})
    assert {**vars(again), "draw": claim.draw} == vars(claim)
    first, second = (search(select="random", claim_seed=seed) for seed in (5, 6))
    assert first.claim == claim
    assert first.nulls[0].neurons == second.nulls[0].neurons != first.claim.neurons
    assert first.claim != second.claim


def test_p_by_its_formula(search: Callable[..., SearchedNull]) -> None:
    found = search(draws=9)
    as_large = sum(null.gain >= found.claim.gain for null in found.nulls)
    assert found.p == (1 + as_large) / 10
    assert found.p_of([2.0, 1.0, 2.0, 3.0]) == 0.75


def test_zones_of_a_gate_held_open_do_not_look_at_answers(
    lm: Any, load: Callable[..., dict[str, Any]], search: Callable[..., SearchedNull]
) -> None:
    docs = list(load("own_open")["own_open"].eval_docs)
    confidence = []
    for doc in docs:
        with torch.no_grad():
            logits = lm.model(torch.tensor([lm.tok_encode(doc["text"])])).logits[0, -1]
        confidence.append(float(logits.double().softmax(-1).max()))
    low, high = (float(bound) for bound in np.quantile(confidence, [0.3, 0.7]))
    found = search(gate=Gate("max_prob", low, high, mode="always")).items
    assert found.confidence == pytest.approx(confidence, rel=1e-5)
    assert found.zones == tuple(1 if own < low else 3 if own > high else 2 for own in confidence)
    assert all(found.opened)
    assert not found.sees_answer


def test_a_closed_gate_gains_nothing(search: Callable[..., SearchedNull]) -> None:
    every = search(gate=Gate("max_prob", 1.0, 1.0))
    middle = float(np.median(every.items.confidence))
    gated = search(gate=Gate("max_prob", middle, 1.0))
    assert all(every.items.opened)
    assert 0 < sum(gated.items.opened) < len(gated.items.opened)
    assert not gated.items.sees_answer
    gain = np.mean(np.array(gated.claim.specific) * np.array(gated.items.opened))
    assert gated.claim.gain == pytest.approx(float(gain), abs=1e-7)
    assert search(gate=Gate("target_prob", 0.5, 0.9)).items.sees_answer
    shut = search(gate=Gate("max_prob", 0.0, 0.5))
    assert (shut.claim.gain, shut.p) == (0.0, 1.0)


def test_taken_up_where_it_was_stopped(
    search: Callable[..., SearchedNull], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching_module, "PORTION", 2)
    whole = search(output=tmp_path / "whole", draws=5)
    search(output=tmp_path / "parts", draws=3)
    lines = (tmp_path / "parts" / "draws.jsonl").read_text().splitlines()
    assert [json.loads(line)["draw"] for line in lines] == [0, 1, 2]
    measured: list[Any] = []
    nulls = TaskSearch.nulls

    def counted(self: TaskSearch, draws: Any, moved: Any = None) -> list[Found]:
        measured.extend(draws)
        return nulls(self, draws, moved)

    monkeypatch.setattr(TaskSearch, "nulls", counted)
    again = search(output=tmp_path / "parts", draws=5)
    assert measured == [2, 3, 4]
    assert again == whole
    for name in ("claim.json", "draws.jsonl", "settings.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    measured.clear()
    assert search(output=tmp_path / "whole", draws=5) == whole
    assert measured == []  # all that is asked for is there
    with pytest.raises(InputError, match="seed"):
        search(output=tmp_path / "whole", seed=1)


def test_bad_options() -> None:
    with pytest.raises(InputError, match="select: expected one of differential"):
        NullOptions(select="best")
    with pytest.raises(InputError, match="draws: expected at least 1, got 0"):
        NullOptions(draws=0)
