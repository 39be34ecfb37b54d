"""Servers that go wrong: one line that says what, and nothing taken for what it is not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from tests.serving.completions_server import Engine
from tests.serving.conftest import COUNT, GATE


@pytest.fixture
def ask(run: Any, url: str, plan_file: Any, word_tokenizer: Any) -> Any:
    def ask(gate: Gate = GATE, *, task: str = "own_pairs", **changes: Any) -> Any:
        arguments = {
            "base_url": url, "model": "base", "adapter": "sna", "max_retries": 1,
            "tokenizer": word_tokenizer.name_or_path, "plan": plan_file(task, gate),
        }  # fmt: skip
        return run("sna-completions", task, **{**arguments, **changes})["samples"][task]

    return ask


def _without_last(body: Any, answer: Any) -> Any:
    return {"choices": answer["choices"][1:]}


def _without_log_probs(body: Any, answer: Any) -> Any:
    return {"choices": [{**choice, "logprobs": None} for choice in answer["choices"]]}


def _a_token_more(body: Any, answer: Any) -> Any:
    for choice in answer["choices"]:
        choice["logprobs"] = {
            name: [values[0], values[0], *values] for name, values in choice["logprobs"].items()
        }
    return answer


def _a_word(body: Any, answer: Any) -> Any:
    for choice in answer["choices"]:
        choice["logprobs"]["token_logprobs"][-2] = "-1.5"
    return answer


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda body, answer: None, "a server that answers"),
        (lambda body, answer: 500, "a server that answers at .* got .*status 500: .*something"),
        (lambda body, answer: 400, "status 400.*the server says: .*something broke"),
        (lambda body, answer: {}, "answers of OpenAI's completions .* got 'no choices'"),
        (_without_last, "got '3 choices for 4 prompts'"),
        (_without_log_probs, "got 'no token_logprobs'"),
        (_a_token_more, r"token_logprobs for a prompt of \d+ tokens"),
        (_a_word, "'-1.5' for a log-probability"),
    ],
    ids=["cut off", "500", "400", "empty", "truncated", "no log-probs", "tokens", "words"],
)
def test_each_fault_is_one_line(fault: Any, message: str, ask: Any, engine: Engine) -> None:
    engine.fault = fault
    with pytest.raises(InputError, match=message) as raised:
        ask()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ("token_logprobs", "no log-probabilities of a generated token"),
        ("top_logprobs", r"no log-probability of token \d+"),
    ],
)
def test_named_tokens_that_are_missing(
    without: str, message: str, ask: Any, engine: Engine
) -> None:
    def now_short(body: Any, answer: Any) -> Any:
        for choice in answer["choices"] if len(engine.requests) > 1 else ():  # after the trial
            empty = {"token_logprobs": [], "top_logprobs": [{"token_id:0": -1.0}]}
            choice["logprobs"][without] = empty[without]
        return answer

    engine.fault = now_short
    with pytest.raises(InputError, match=message):
        ask(task="own_labels")


def test_what_passes_is_asked_again(ask: Any, engine: Engine, monkeypatch: Any) -> None:
    import tenacity.wait

    monkeypatch.setattr(tenacity.wait.wait_exponential, "__call__", lambda *_: 0.01)
    whole = ask()
    failures = {"left": 3}

    def now_and_then(body: Any, answer: Any) -> Any:
        if failures["left"] and len(engine.requests) % 2:
            failures["left"] -= 1
            return 503
        return answer

    engine.fault = now_and_then
    assert [sample["resps"] for sample in ask(max_retries=3)] == [
        sample["resps"] for sample in whole
    ]
    assert failures["left"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"adapter": "other"},
            r"adapter: expected one of the models .* \(base, sna\), got 'other'",
        ),
        ({"adapter": None}, "adapter: expected the name under which a server has the plan"),
        ({"adapter": "own_texts=sna"}, "adapter: expected a name for own_pairs"),
        ({"adapter": "=;"}, "adapter: expected NAME, or TASK=NAME"),
        ({"model": "other"}, r"model: expected one of the models .* \(base, sna\), got 'other'"),
        (
            {"model": None},
            "model: expected the base model's name on the server, got None; base, sna",
        ),
        ({"base_url": "127.0.0.1"}, "base_url: expected a server's address"),
        ({"base_url": "http://127.0.0.1:9/v1"}, "base_url: expected a server that answers"),
        ({"tokenizer": "/nowhere"}, "tokenizer: expected a folder or hub name"),
        ({"report_baseline": "no"}, "report_baseline: expected true or false"),
        ({"plan": None, "layer": 1, "multiplier": 2}, "neurons, for a model that runs elsewhere"),
        (
            {"plan": None, "layer": 1, "multiplier": 2, "neurons": "3", "positions": "last"},
            "positions: expected `all`: weights act on every token",
        ),
    ],
)
def test_arguments_that_cannot_be(changes: dict[str, Any], message: str, ask: Any) -> None:
    with pytest.raises(InputError, match=message):
        ask(**changes)


def test_a_server_that_sends_no_distribution(ask: Any, engine: Engine) -> None:
    def short(body: Any, answer: Any) -> Any:
        return 400 if body["logprobs"] == -1 else answer

    engine.fault = short
    with pytest.raises(InputError, match=r"gate.signal: expected a server that sends .* whole"):
        ask(Gate("entropy", 0.3, 0.4))


def test_part_of_a_distribution_is_none(ask: Any, engine: Engine) -> None:
    def short(body: Any, answer: Any) -> Any:
        for choice in answer["choices"] if body["logprobs"] == -1 else ():
            (top,) = choice["logprobs"]["top_logprobs"]
            choice["logprobs"]["top_logprobs"] = [dict(list(top.items())[:20])]
        return answer

    engine.fault = short
    with pytest.raises(InputError, match="20 log-probabilities whose sum is"):
        ask(Gate("entropy", 0.3, 0.4))


@pytest.mark.parametrize("task", ["own_pairs", "own_labels"])
def test_an_overflow_keeps_the_baseline(task: str, ask: Any, engine: Engine) -> None:
    def overflows(body: Any, answer: Any) -> Any:
        for choice in answer["choices"] if body["model"] == "sna" else ():
            sent = choice["logprobs"]
            for name in ("token_logprobs",) if body["echo"] else ():
                sent[name][-2] = None
            for entry in () if body["echo"] else sent["top_logprobs"]:
                entry.update(dict.fromkeys(entry))
        return answer

    engine.fault = overflows
    samples = ask(Gate(mode="always"), task=task)
    assert len(samples) == COUNT
    for sample in samples:
        assert sample["decision"] == 1
        assert all(math.isfinite(answer[0][0]) for answer in sample["resps"])
        assert [answer[0][0] for answer in sample["resps"]] == [
            answer[0][0] for answer in sample["baseline_resps"]
        ]
