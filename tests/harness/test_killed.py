"""A run that is killed while it writes is gone on with: `--use_cache` loses nothing it kept."""

from __future__ import annotations

import os
import signal
import sqlite3
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import CachingLM

from sna_eval.files import tasks_path
from sna_eval.harness.scoring import response_cache
from tests.conftest import VOCABULARY, build_model
from tests.harness.conftest import answers, flat_numbers

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")

TASKS = ["own_choices", "own_rolling", "own_generation"]
PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 6.0, "gate": "always"}
DOCUMENTS = 5
KEPT = 3 * DOCUMENTS
"""Items that are scored, and whole texts of both models; generated texts come on top."""


def model(tokenizer: str) -> Any:
    from sna_eval.harness.lm import SNALM

    tiny = build_model("gpt2", n_positions=256, vocab_size=VOCABULARY)
    return SNALM(tiny, tokenizer=tokenizer, batch_size=2, **PLAN)


def run(lm: Any, cache: str, tasks: Path) -> dict[str, Any]:
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=[tasks_path(), tasks], include_defaults=False)
    loaded = manager.load(TASKS)
    for task in loaded["tasks"].values():
        task.set_fewshot_seed(1234)
    results: dict[str, Any] = evaluate(CachingLM(lm, cache), loaded, bootstrap_iters=0)
    return results


def killed(tokenizer: str, cache: str, tasks: Path, at: int) -> None:
    """Ends itself in the middle of writing this row to the file, counted from 1."""
    lm, written = model(tokenizer), 0
    response_cache._SECONDS = 0.0  # every row is written at once

    def statement(text: str) -> None:
        nonlocal written
        written += text.startswith("INSERT")
        if written == at:
            os.kill(os.getpid(), signal.SIGKILL)

    caching = CachingLM(lm, cache)
    lm._answers._database.set_trace_callback(statement)
    lm.set_cache_hook = lambda hook: None  # the file is open already
    run(lm, cache, tasks)
    raise AssertionError(f"wrote {written} rows only: {caching}")


def rows(cache: str) -> int:
    with sqlite3.connect(cache) as database:
        (found,) = database.execute("SELECT count(*) FROM sna_answers").fetchone()
    return int(found)


def test_killed_again_and_again(own_tasks: Path, word_tokenizer: Any, tmp_path: Path) -> None:
    """Among scores, then among generated texts; what is left is answered, and the rest is read."""
    tokenizer = str(word_tokenizer.name_or_path)
    disturbed, undisturbed = (str(tmp_path / f"{name}.db") for name in ("disturbed", "whole"))
    context = get_context("forkserver")
    context.set_forkserver_preload(["sna_eval.harness.lm", "lm_eval.evaluator"])
    kept = 0
    for at in (3, 14):
        process = context.Process(target=killed, args=(tokenizer, disturbed, own_tasks, at))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        kept += at - 1
        assert rows(disturbed) == kept
    expected, found = (run(model(tokenizer), one, own_tasks) for one in (undisturbed, disturbed))
    assert rows(disturbed) == rows(undisturbed) >= KEPT + DOCUMENTS
    assert flat_numbers(found["results"]) == pytest.approx(flat_numbers(expected["results"]))
    assert flat_numbers(answers(found)) == pytest.approx(flat_numbers(answers(expected)), abs=1e-6)
    texts = [
        [
            (sample["resps"], sample["baseline_resps"])
            for sample in results["samples"]["own_generation"]
        ]
        for results in (found, expected)
    ]
    assert texts[0] == texts[1]
    assert any(amplified != baseline for amplified, baseline in texts[0])
