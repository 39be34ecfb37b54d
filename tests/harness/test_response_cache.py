"""`--use_cache` with lm_eval's real cache: never another's answers."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import CachingLM

from tests.harness.conftest import answers

TASK = "own_choices"


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
