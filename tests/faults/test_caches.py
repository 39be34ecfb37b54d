"""Caches that were damaged: what they held is computed anew, and never something else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import CachingLM

from tests.harness.conftest import answers

TASK = "own_choices"
PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 6.0, "gate": "always"}
FOUR = "[" + ", ".join(["%s"] * 4) + "]"


@pytest.mark.parametrize(
    "damage",
    [
        "[", "null", "[]", "[" * 100_000, "[[1.0, true, null]]", FOUR % (("1",) * 4),
        FOUR % (('["x", true, null]',) * 4), FOUR % (('[1.0, true, {"zone": 7}]',) * 4),
        FOUR % (("[" + "9" * 400 + ", true, null]",) * 4),
    ],
    ids=range(9),
)  # fmt: skip
def test_answers_that_are_damaged_are_scored_anew(
    damage: str, evaluate: Any, make_sna: Any, tmp_path: Path
) -> None:
    path = str(tmp_path / "answers.db")
    expected = answers(evaluate(CachingLM(make_sna(**PLAN), path), [TASK]))
    with sqlite3.connect(path) as database:
        changed = database.execute("UPDATE sna_answers SET answers = ?", (damage,)).rowcount
    lm = make_sna(**PLAN)
    assert answers(evaluate(CachingLM(lm, path), [TASK])) == expected
    assert lm.ledger.tasks[TASK].items == changed
    assert lm.ledger.baseline_rows > 0
