"""`sna-completions` and `sna-eval verify` against a real engine: the same as in this process."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cli import main
from tests.vllm.conftest import DOCUMENTS, TASKS, Server, written
from tests.vllm.held_together import Compared, hold_together

CORE = ("sna_math_easy", "sna_logic_easy", "own_texts")
"""Log-likelihoods of several tokens, of one, and texts."""


@pytest.mark.parametrize(
    "task",
    [pytest.param(task, marks=[pytest.mark.core] if task in CORE else []) for task in TASKS],
)
def test_the_same_as_in_this_process(
    task: str, here: Any, served: Any, compared: list[Compared]
) -> None:
    found = hold_together("sna-completions", task, here, served, TASKS[task])
    compared.append(found)
    assert found.documents == DOCUMENTS
    assert 0 < found.opened < DOCUMENTS


@pytest.mark.core
@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("sna", 0, "verified"),
        ("gone", 1, "not loaded"),
        ("other", 1, "the base model is another"),
        ("twice", 1, "times as strongly as the plan"),
        ("nothing", 1, "no-op"),
        ("base", 1, "no-op"),
    ],
)
def test_verify(
    name: str, status: int, said: str, server: Server, export_folder: Path, export_of_another: Path,
    capsys: Any,
) -> None:  # fmt: skip
    """A right copy; one not loaded, on another base model, scaled, idle; and a name ignored."""
    folder = export_of_another if name == "other" else export_folder
    words = ["verify", str(folder), "--url", server.url, "--base", "base", "--adapter", name]
    assert main([*words, "--texts", "8"]) == status
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("task", ["sna_sst2"])
def test_killed_and_gone_on_with(
    task: str, server: Server, served: Any, served_arguments: dict[str, Any], tasks: Path,
    tmp_path: Path, compared: list[Compared], capfd: Any,
) -> None:  # fmt: skip
    """The rerun asks only for what is missing, and gives what a run without a break gave."""
    cache = tmp_path / "answers"
    given = {**served_arguments, "max_retries": 2}
    command = [
        "run", "--model", "sna-completions", "--tasks", task, "--limit", str(DOCUMENTS),
        "--model_args", ",".join(f"{name}={value}" for name, value in given.items()),
        "--include_path", str(tasks), "--output_path", str(tmp_path / "out"), "--log_samples",
        "--use_cache", str(cache),
    ]  # fmt: skip
    opened = sum(int(sample["decision"]) for sample in served["samples"][task])
    whole = DOCUMENTS + opened + 1  # both choices at once; first it is tried whether they may
    killer = threading.Thread(target=_kill_once, args=(server, cache, whole // 3))
    killer.start()
    status = main(command)
    killer.join()
    (said,) = [line for line in capfd.readouterr().err.splitlines() if "sna-eval: error" in line]
    assert status == 2
    assert "base_url: expected a server that answers" in said
    kept = _kept(cache)
    assert whole // 3 <= kept < whole
    server.begin()
    server.wait()
    assert main(command) == 0
    assert server.answered() == whole - kept
    assert _kept(cache) == whole
    again = written(tmp_path / "out", [task])
    compared.append(hold_together("killed and gone on with", task, served, again, TASKS[task]))


def _kill_once(server: Server, cache: Path, count: int) -> None:
    """As soon as so many answers are kept."""
    deadline = time.monotonic() + 300
    while _kept(cache) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    server.kill()


def _kept(cache: Path) -> int:
    found = [file for file in cache.parent.glob(f"{cache.name}*") if file.suffix == ".db"]
    if not found:
        return 0
    with closing(sqlite3.connect(found[0])) as database:
        try:
            return int(database.execute("SELECT count(*) FROM sna_served").fetchone()[0])
        except sqlite3.OperationalError:  # the table is not there yet, or is being written
            return 0
