"""Items against the requests that lm_eval builds and encodes itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sna_eval.harness.plugin.stand_in import encoded
from sna_eval.measuring.items import (
    TaskItems,
    answered_rows,
    items_fingerprint,
    load_items,
    rows_of,
)
from sna_eval.study.sweep.swept_task import default_gate

Load = Callable[..., dict[str, Any]]


def texts(items: TaskItems) -> list[tuple[str, str]]:
    return [(r.context_text, r.continuation_text) for item in items.items for r in item.requests]


@pytest.mark.parametrize("name", ["own_open", "own_labels", "own_choices"])
def test_test_items_are_those_that_are_evaluated(lm: Any, load: Load, name: str) -> None:
    (task,) = load(name).values()
    task.build_all_requests()
    expected = [instance.args for instance in task.instances]
    assert texts(load_items(task, lm, split="test")) == expected


def test_few_shot_examples_are_those_of_an_evaluation(lm: Any, load: Load) -> None:
    """Each process drew its own: a sweep could not be taken up, nor be one of many workers'."""
    from lm_eval.evaluator import simple_evaluate

    def fresh() -> Any:
        (task,) = load("own_labels").values()
        task.set_config(key="num_fewshot", value=2)
        return task

    first, second = (load_items(fresh(), lm, split="test") for _ in range(2))
    assert texts(first) == texts(second)
    task = fresh()
    assert texts(load_items(task, lm, split="test")) == texts(first)
    assert texts(load_items(task, lm, split="test")) == texts(first)
    results = simple_evaluate(lm, tasks=[fresh()], bootstrap_iters=0)
    asked = sorted(results["samples"]["own_labels"], key=lambda sample: sample["doc_id"])
    assert [args for sample in asked for args in sample["arguments"]] == texts(first)


def test_other_tokens_are_other_items(lm: Any, load: Load, monkeypatch: Any) -> None:
    """Though the texts are the same: with a first token of its own a model scores otherwise."""
    (task,) = load("own_open").values()
    first = items_fingerprint(task, lm, split="test")
    assert items_fingerprint(task, lm, split="test") == first
    assert items_fingerprint(task, lm, split="test", limit=2) != first
    plain = lm.tok_encode
    monkeypatch.setattr(lm, "tok_encode", lambda text, **how: [7, *plain(text, **how)])
    assert items_fingerprint(task, lm, split="test") != first


def test_development_items_are_others(lm: Any, load: Load) -> None:
    (task,) = load("own_open").values()
    development = load_items(task, lm, split="development")
    assert len(development.items) == 6
    assert not set(texts(development)) & set(texts(load_items(task, lm, split="test")))


def test_limit_takes_the_first(lm: Any, load: Load) -> None:
    (task,) = load("own_open").values()
    some, every = (load_items(task, lm, split="test", limit=limit) for limit in (2, None))
    assert texts(some) == texts(every)[:2]
    assert [item.instance.doc_id for item in some.items] == [0, 1]


def test_tokens_are_those_that_the_model_is_asked_for(
    lm: Any, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lm_eval's own `loglikelihood` hands over, an empty context included."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    (task,) = load("own_choices").values()
    task.build_all_requests()
    bare = Instance("loglikelihood", {}, ("", "the cat"), 0, (task.config.task, 99, 1))
    asked = [*task.instances, bare]
    seen: list[Any] = []
    monkeypatch.setattr(
        type(lm), "_loglikelihood_tokens", lambda self, reqs, **_: seen.extend(reqs)
    )
    HFLM.loglikelihood(lm, asked, disable_tqdm=True)
    assert encoded(lm, asked) == seen


def test_right_answers(lm: Any, load: Load) -> None:
    (task,) = load("own_choices").values()
    items = load_items(task, lm, split="test")
    assert items.gold == (0, 1, 2, 0, 1, 2)
    assert [items.right_answer(item) for item in items.items] == list(items.gold)
    assert items.starts == (0, 3, 6, 9, 12, 15, 18)


def test_a_document_is_kept_out_of_its_own_examples(lm: Any, load: Load) -> None:
    (task,) = load("own_open").values()
    task.set_config(key="num_fewshot", value=5)
    items = load_items(task, lm, split="development")
    for item in items.items:
        entry = item.instance.doc["text"]
        shots = item.requests[0].context_text.split("\n\n")
        assert len(shots) == 6
        assert [shot for shot in shots if shot == entry] == [entry]
        assert not any(shot.startswith(f"{entry} {item.instance.doc['answer']}") for shot in shots)
    assert task.config.test_split == "test"


@pytest.mark.parametrize("packs", [True, False])
def test_rows_answer_every_request_once(lm: Any, load: Load, packs: bool) -> None:
    (task,) = load("own_choices").values()
    items = load_items(task, lm, split="test")
    rows = rows_of(items, max_length=64, packs=packs)
    assert sorted(number for entry in rows for number in entry.requests) == list(range(18))
    lengths = [len(entry.row.tokens) for entry in rows]
    assert lengths == sorted(lengths, reverse=True)
    asked = [request for item in items.items for request in item.requests]
    for entry in rows:
        for number, branch in zip(entry.requests, entry.row.branches, strict=True):
            assert asked[number].continuation == branch
            assert items.starts[entry.item] <= number < items.starts[entry.item + 1]


def test_answered_rows_fit_the_model(lm: Any, load: Load) -> None:
    (task,) = load("own_open").values()
    rows = answered_rows(load_items(task, lm, split="test"), max_length=8)
    assert all(len(row.tokens) <= 8 for row in rows)
    assert [len(row.branches) for row in rows] == [1] * 6


def test_generated_answers_are_scored_as_continuations(lm: Any, load: Load) -> None:
    """The right answer after the prompt, as lm_eval joins the two in few-shot examples."""
    (task,) = load("own_generated").values()
    items = load_items(task, lm, split="test")
    assert items.kind == "generate_until"
    assert not items.has_choices
    assert items.gold == (0,) * 6
    for item, doc in zip(items.items, task.test_docs(), strict=True):
        (request,) = item.requests
        assert request.context_text == doc["text"]
        assert request.continuation_text == f" {doc['answer']}"
    assert default_gate(items).signal == "max_prob"


def test_of_rolling_texts_the_beginning_is_scored(lm: Any, load: Load) -> None:
    """As far as the model's window, after the tokenizer's beginning of a text."""
    (task,) = load("own_generated").values()
    task.OUTPUT_TYPE = "loglikelihood_rolling"
    long = "the cat sat on a mat while rain fell over town " * 40
    task.dataset["test"] = task.dataset["test"].map(lambda doc: {"answer": long + doc["answer"]})
    items = load_items(task, lm, split="test", limit=2)
    for item in items.items:
        (request,) = item.requests
        assert request.context == (lm.prefix_token_id,)
        assert 100 < len(request.continuation) <= lm.max_length
        assert long.startswith(request.continuation_text)
    assert default_gate(items).mode == "always"
