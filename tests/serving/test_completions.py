"""`sna-completions` decides and scores as `sna` does, and asks for no more than it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sna_eval.gating import Gate
from sna_eval.serving.named_tokens import MOST, sharing
from sna_eval.serving.served_model import Continuation
from tests.serving.completions_server import Engine
from tests.serving.conftest import COUNT, GATE

SERVED = {"model": "base", "adapter": "sna", "max_retries": 1, "num_concurrent": 4}


@pytest.fixture
def both(run: Any, url: str, plan_file: Any, model_folder: Any, word_tokenizer: Any) -> Any:
    """A task's results under `sna` and through the server."""
    words = word_tokenizer.name_or_path

    def in_this_process(task: str, gate: Gate) -> Any:
        plan = plan_file(task, gate)
        return run("sna", task, pretrained=str(model_folder("llama")), tokenizer=words, plan=plan)

    def ask(task: str, gate: Gate | str, **more: Any) -> tuple[Any, Any]:
        if isinstance(gate, str):  # by the signal of this name, a third of the items in each zone
            tried = in_this_process(task, Gate(gate, 0.0, 1.0))["samples"][task]
            gate = Gate(gate, *_thirds([sample["confidence"] for sample in tried]))
        here = in_this_process(task, gate)
        plan = plan_file(task, gate)
        served = run(
            "sna-completions", task, base_url=url, tokenizer=words, plan=plan, **SERVED, **more
        )
        return here, served

    return ask


def _thirds(confidences: list[float]) -> tuple[float, float]:
    """Bounds half-way between two confidences, as far from either as can be."""
    values = sorted(confidences)
    places = (len(values) // 3, 2 * len(values) // 3)
    low, high = (sum(values[place : place + 2]) / 2 for place in places)
    return low, high


def _opened(samples: list[dict[str, Any]]) -> int:
    return sum(int(sample["decision"]) for sample in samples)


def _same_decisions(here: list[dict[str, Any]], served: list[dict[str, Any]]) -> None:
    assert len(here) == len(served) == COUNT
    for mine, theirs in zip(here, served, strict=True):
        assert (mine["zone"], mine["decision"]) == (theirs["zone"], theirs["decision"])
        assert mine["confidence"] == pytest.approx(theirs["confidence"], rel=1e-4, abs=1e-6)


def _same_answers(here: list[dict[str, Any]], served: list[dict[str, Any]]) -> None:
    for mine, theirs in zip(here, served, strict=True):
        for name in ("resps", "baseline_resps"):
            values = [[answer[0][0] for answer in sample[name]] for sample in (mine, theirs)]
            assert values[0] == pytest.approx(values[1], abs=1e-4)
            greedy = [[answer[0][1] for answer in sample[name]] for sample in (mine, theirs)]
            assert greedy[0] == greedy[1]


@pytest.mark.parametrize("signal", ["margin", "target_prob", "max_prob", "entropy"])
def test_choices(signal: str, both: Any, engine: Engine) -> None:
    here, served = (results["samples"]["own_pairs"] for results in both("own_pairs", signal))
    _same_decisions(here, served)
    _same_answers(here, served)
    assert 0 < _opened(served) < COUNT
    asked = [
        prompt for body in engine.requests if body["model"] == "sna" for prompt in body["prompt"]
    ]
    assert len(asked) == 2 * _opened(served)  # the adapter is asked for open documents only


@pytest.mark.parametrize("named", [True, False])
def test_choices_of_one_token(named: bool, both: Any, engine: Engine) -> None:
    """A request for each document, where the server sends what is named in it."""
    engine.sends_named = named
    here, served = (results["samples"]["own_labels"] for results in both("own_labels", "margin"))
    _same_decisions(here, served)
    _same_answers(here, served)
    trial, *asked = engine.requests
    assert trial["prompt"] == [[0]]
    prompts = {
        name: sum(len(body["prompt"]) for body in asked if body["model"] == name)
        for name in engine.names
    }
    each = 1 if named else 2
    assert prompts == {"base": each * COUNT, "sna": each * _opened(served)}
    assert all(body["echo"] != named for body in asked)
    assert 0 < _opened(served) < COUNT


def test_named_tokens_are_of_a_greedy_request(both: Any, engine: Engine) -> None:
    """What a checkpoint's own generation settings say would make another token the likeliest."""
    both("own_labels", GATE)
    for body in engine.requests:
        assert body["logprob_token_ids"]
        assert (body["temperature"], body["max_tokens"], body["repetition_penalty"]) == (0, 1, 1)
        assert (body["presence_penalty"], body["frequency_penalty"]) == (0, 0)


def test_more_continuations_than_a_request_may_name() -> None:
    asked = [Continuation(None, (1, 2), (number,)) for number in range(MOST + 2)]
    several = Continuation(None, (1, 2), (3, 4))
    other = Continuation("sna", (1, 2), (3,))
    groups = sharing([several, *asked, other])
    assert groups == [[0], list(range(1, MOST + 1)), [MOST + 1, MOST + 2], [MOST + 3]]


def test_generated_texts(both: Any) -> None:
    here, served = both("own_texts", "max_prob")
    _same_decisions(here["samples"]["own_texts"], served["samples"]["own_texts"])
    for name in ("resps", "baseline_resps"):
        texts = [
            [one[name][0][0] for one in results["samples"]["own_texts"]]
            for results in (here, served)
        ]
        assert texts[0] == texts[1]
    assert 0 < _opened(served["samples"]["own_texts"]) < COUNT


def test_the_baseline_text_is_asked_for_once(both: Any, engine: Engine) -> None:
    _, served = both("own_texts", "max_prob")
    asked = dict.fromkeys(("base", "sna"), 0)
    for body in engine.requests:
        asked[body["model"]] += len(body["prompt"])
    assert asked == {"base": COUNT, "sna": _opened(served["samples"]["own_texts"])}


def test_whole_texts(both: Any) -> None:
    here, served = both("own_rolling", "target_prob")
    _same_decisions(here["samples"]["own_rolling"], served["samples"]["own_rolling"])
    for metric in ("word_perplexity,none", "baseline_word_perplexity,none"):
        values = [results["results"]["own_rolling"][metric] for results in (here, served)]
        assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_gates_that_do_not_measure_wait_for_nothing(both: Any, engine: Engine) -> None:
    here, served = both("own_labels", Gate(mode="always"))
    _same_decisions(here["samples"]["own_labels"], served["samples"]["own_labels"])
    _, *asked = engine.requests
    assert len(asked) == 2 * COUNT / 4  # full batches of either, none after another


@pytest.mark.parametrize("task", ["own_pairs", "own_texts"])
def test_base_and_adapter_are_never_asked_together(task: str, both: Any, engine: Engine) -> None:
    engine.mixes = True
    here, served = (results["samples"][task] for results in both(task, Gate(mode="always")))
    assert not engine.met
    for mine, theirs in zip(here, served, strict=True):
        for name in ("resps", "baseline_resps"):
            first, second = ([answer[0] for answer in sample[name]] for sample in (mine, theirs))
            assert first == second or [value for value, _ in first] == pytest.approx(
                [value for value, _ in second], abs=1e-4
            )


@pytest.mark.parametrize("task", ["own_pairs", "own_labels"])
def test_texts_in_place_of_token_ids(task: str, both: Any, engine: Engine) -> None:
    here, served = both(task, GATE, tokenized_requests=False)
    _same_decisions(here["samples"][task], served["samples"][task])
    assert all(body["echo"] for body in engine.requests)  # it says how a text was tokenized


def test_without_a_plan_it_is_lm_evals_own(run: Any, url: str, word_tokenizer: Any) -> None:
    words = word_tokenizer.name_or_path
    plain = run(
        "local-completions", "own_pairs", base_url=f"{url}/completions", model="base",
        tokenizer=words, tokenizer_backend="huggingface",
    )  # fmt: skip
    ours = run(
        "sna-completions", "own_pairs", base_url=url, model="base", tokenizer=words, gate="never"
    )
    names = ("resps", "acc")
    pairs = zip(plain["samples"]["own_pairs"], ours["samples"]["own_pairs"], strict=True)
    assert all(mine[name] == theirs[name] for mine, theirs in pairs for name in names)


def test_result_files_say_who_answered(both: Any) -> None:
    _, served = both("own_pairs", GATE)
    described = served["config"]["sna"]
    assert described["base"] == "base"
    assert described["adapters"] == {"own_pairs": "sna"}
    assert described["model_hash"] is None
    assert described["passes"]["baseline_rows"] == 2 * COUNT


def test_answers_are_kept_as_they_come(
    run: Any, url: str, plan_file: Any, engine: Engine, word_tokenizer: Any, tmp_path: Path
) -> None:
    from sna_eval.errors import InputError

    arguments = {
        **SERVED, "base_url": url, "plan": plan_file("own_pairs", GATE),
        "tokenizer": word_tokenizer.name_or_path,
    }  # fmt: skip
    whole = run("sna-completions", "own_pairs", **arguments)["samples"]["own_pairs"]
    needed = sum(len(body["prompt"]) for body in engine.requests)
    engine.requests.clear()
    answered: list[int] = []

    def dies(body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any] | None:
        if sum(answered) >= needed // 2:
            return None
        answered.append(len(body["prompt"]))
        return answer

    cache = str(tmp_path / "answers")
    engine.fault = dies
    with pytest.raises(InputError, match="a server that answers"):
        run("sna-completions", "own_pairs", use_cache=cache, **arguments)
    engine.requests.clear()
    engine.fault = lambda body, answer: answer
    again = run("sna-completions", "own_pairs", use_cache=cache, **arguments)["samples"][
        "own_pairs"
    ]
    assert sum(len(body["prompt"]) for body in engine.requests) == needed - sum(answered)
    assert [sample["resps"] for sample in again] == [sample["resps"] for sample in whole]
    engine.requests.clear()
    run("sna-completions", "own_pairs", use_cache=cache, **arguments)
    assert not engine.requests
