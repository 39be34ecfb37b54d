"""`--use_cache` with lm_eval's real cache: never another's answers."""

from __future__ import annotations

import copy
import functools
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM

from tests.harness.conftest import answers, flat_numbers

TASK = "own_choices"
KINDS = ["own_choices", "own_rolling", "own_generation"]


def plan(factor: float, **more: Any) -> dict[str, Any]:
    return {"layer": 2, "neurons": "1;5;7", "multiplier": factor, "gate": "always", **more}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "answers.db")


def test_plans_and_hf_do_not_mix(evaluate: Any, make_sna: Any, make_hf: Any, path: str) -> None:
    plain = answers(evaluate(make_hf(), [TASK]))
    strong = answers(evaluate(make_sna(**plan(6.0)), [TASK]))
    weak = answers(evaluate(make_sna(**plan(2.0)), [TASK]))
    for _ in range(2):  # the second time everything is in the file
        assert answers(evaluate(CachingLM(make_hf(), path), [TASK])) == plain
        assert answers(evaluate(CachingLM(make_sna(**plan(6.0)), path), [TASK])) == strong
        assert answers(evaluate(CachingLM(make_sna(**plan(2.0)), path), [TASK])) == weak


def test_tasks_do_not_mix(evaluate: Any, make_sna: Any, path: str, tmp_path: Path) -> None:
    """Two tasks that ask the same questions, with different interventions, in one run and file."""
    text = """
version: 1
tasks:
  {first}: {{gate: always, interventions: [{{layer: 2, multiplier: 6.0, neurons: [1, 5, 7]}}]}}
  {second}: {{gate: always, interventions: [{{layer: 1, multiplier: 9.0, neurons: [4]}}]}}
"""
    file = tmp_path / "plan.yaml"
    file.write_text(text.format(first="own_choices", second="own_choices_again"))
    tasks = ["own_choices", "own_choices_again"]
    expected = answers(evaluate(make_sna(plan=str(file)), tasks))
    assert expected["own_choices"] != expected["own_choices_again"]
    for _ in range(2):
        assert answers(evaluate(CachingLM(make_sna(plan=str(file)), path), tasks)) == expected


def test_the_second_run_reads_instead_of_scoring(evaluate: Any, make_sna: Any, path: str) -> None:
    first, second = make_sna(**plan(6.0)), make_sna(**plan(6.0))
    evaluate(CachingLM(first, path), [TASK])
    evaluate(CachingLM(second, path), [TASK])
    assert first.ledger.baseline_rows > 0
    assert second.ledger.baseline_rows == 0
    assert second.ledger.tasks[TASK].as_dict() == first.ledger.tasks[TASK].as_dict()


def test_lm_evals_own_table_stays_empty(evaluate: Any, make_sna: Any, path: str) -> None:
    evaluate(CachingLM(make_sna(**plan(6.0)), path), [TASK, "own_rolling", "own_generation"])
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM unnamed").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM sna_answers").fetchone()[0] > 0


def counted(lm: Any) -> list[int]:
    """Rows of each pass that a model makes from here on."""
    passes: list[int] = []
    forward = lm.model.forward

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        passes.append(len(kwargs.get("input_ids", args[0] if args else ())))
        return forward(*args, **kwargs)

    lm.model.forward = run
    return passes


def test_both_answers_are_kept(evaluate: Any, make_sna: Any, tiny_gpt2: Any, path: str) -> None:
    """Of every kind, with their metrics: the second run makes no pass."""
    plain = evaluate(make_sna(**plan(6.0)), KINDS)
    first = evaluate(CachingLM(make_sna(**plan(6.0)), path), KINDS)
    lm = make_sna(copy.deepcopy(tiny_gpt2), **plan(6.0))
    passes = counted(lm)
    second = evaluate(CachingLM(lm, path), KINDS)
    assert passes == []
    assert lm.model_hash == make_sna(**plan(6.0)).model_hash
    for name in KINDS:
        told = {key: one for key, one in plain["results"][name].items() if "," in key}
        assert any(key.startswith("baseline_") for key in told)
        for results in (first, second):
            assert {key: results["results"][name][key] for key in told} == pytest.approx(told)
            for sample, other in zip(results["samples"][name], plain["samples"][name], strict=True):
                assert sample["baseline_resps"] == other["baseline_resps"]
                assert sample["resps"] == other["resps"]
                assert (sample["zone"], sample["decision"]) == (other["zone"], other["decision"])
    assert lm.counts.tasks["own_generation"].as_dict() == make_counts(evaluate, make_sna)


def make_counts(evaluate: Any, make_sna: Any) -> dict[str, Any]:
    lm = make_sna(**plan(6.0))
    evaluate(lm, ["own_generation"])
    counts: dict[str, Any] = lm.counts.tasks["own_generation"].as_dict()
    return counts


def test_what_the_unmodified_model_says_serves_every_plan(
    evaluate: Any, make_sna: Any, tiny_gpt2: Any, path: str
) -> None:
    tasks = ["own_rolling", "own_generation"]
    rows = []
    for _ in range(2):
        for factor in (6.0, 2.0):
            lm = make_sna(copy.deepcopy(tiny_gpt2), **plan(factor))
            passes = counted(lm)
            found = evaluate(CachingLM(lm, path), tasks)
            rows.append(sum(passes))
            expected = evaluate(make_sna(**plan(factor)), tasks)
            assert flat_numbers(answers(found)) == pytest.approx(flat_numbers(answers(expected)))
            assert (
                found["samples"]["own_generation"][0]["resps"]
                == (expected["samples"]["own_generation"][0]["resps"])
            )
    assert rows[0] > rows[1] > 0
    assert rows[2:] == [0, 0]


def test_texts_that_are_drawn_are_not_kept(make_sna: Any, path: str) -> None:
    """The same text twice would be no second draw."""
    settings = {"until": ["zzz"], "max_gen_toks": 8, "do_sample": True, "temperature": 0.7}
    request = Instance("generate_until", {}, ("the cat", settings), 0, metadata=("own", 0, 1))
    texts = set()
    for seed in range(3):
        torch.manual_seed(seed)
        (text,) = CachingLM(make_sna(**plan(2.0)), path).generate_until([request])
        texts.add(text)
    assert len(texts) > 1
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM sna_answers").fetchone() == (0,)


def test_texts_of_other_settings_are_not_taken(make_sna: Any, path: str) -> None:
    def text(lm: Any = None, **settings: Any) -> str:
        asked = {"until": ["zzz"], "max_gen_toks": 8, **settings}
        request = Instance("generate_until", {}, ("the cat", asked), 0, metadata=("own", 0, 1))
        (found,) = CachingLM(lm or make_sna(**plan(6.0)), path).generate_until([request])
        return str(found)

    whole = text()
    assert text() == whole
    assert text(max_gen_toks=2) == text(max_gen_toks=2) != whole
    assert text(until=[whole[:3]]) == ""
    assert text(no_repeat_ngram_size=1) != whole or len(set(whole.split())) == len(whole.split())
    strict = make_sna(**plan(6.0), decide_at="every_step", strict=True)
    assert text(strict) == whole  # always open: the same text, found anew
    with sqlite3.connect(path) as database:
        (kept,) = database.execute("SELECT count(*) FROM sna_answers").fetchone()
    assert kept >= 6
