"""`sna-completions` and `sna-eval verify` against a real engine: the same as in this process."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cli import main
from tests.vllm.conftest import Server, lm_eval, samples_of

TIE = 1e-3
"""How near a bound two confidences may be decided otherwise."""
TASKS = {
    "sna_sst2": (60, (0.3, 0.6)),
    "sna_math_easy": (30, (0.5, 0.7)),
    "sna_logic_easy": (30, (0.07, 0.3)),
    "own_texts": (30, (0.3, 0.6)),
}
"""Documents, and the bounds of the gate."""


def _served(server: Server, plan: Path, model: Path) -> str:
    return (
        f"base_url={server.url},model=base,adapter=sna,plan={plan},tokenizer={model},"
        "num_concurrent=4,max_length=1024"
    )


@pytest.fixture(scope="session")
def own(plan_file: Path, smollm2: Path, tasks: Path, tmp_path_factory: Any) -> Any:
    """The samples of a task under `sna`."""

    def run(task: str) -> list[dict[str, Any]]:
        folder = tmp_path_factory.mktemp("own")
        done = lm_eval(
            "sna", f"pretrained={smollm2},plan={plan_file},dtype=float32,max_length=1024", task,
            folder, limit=TASKS[task][0], tasks=tasks, more=("--batch_size", "8"),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return samples_of(folder, task)

    return run


def held_together(
    mine: list[dict[str, Any]], theirs: list[dict[str, Any]], bounds: tuple[float, float]
) -> int:
    """Compares samples; how many gates opened. Decisions may differ at a bound alone."""
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        assert one["confidence"] == pytest.approx(other["confidence"], abs=TIE)
        tie = min(abs(one["confidence"] - bound) for bound in bounds) < TIE
        assert tie or (one["zone"], one["decision"]) == (other["zone"], other["decision"])
        for name in ("resps", "baseline_resps"):
            if name == "resps" and tie:
                continue
            first, second = ([answer[0] for answer in own[name]] for own in (one, other))
            if isinstance(first[0], str):
                assert first == second
            else:
                values = [[float(answer[0]) for answer in own] for own in (first, second)]
                assert values[0] == pytest.approx(values[1], abs=1e-4)
    return sum(int(one["decision"]) for one in mine)


@pytest.mark.parametrize("task", TASKS)
def test_the_same_as_in_this_process(
    task: str, own: Any, server: Server, plan_file: Path, smollm2: Path, tasks: Path,
    tmp_path: Path, shared_data: Path,
) -> None:  # fmt: skip
    limit, bounds = TASKS[task]
    done = lm_eval(
        "sna-completions", _served(server, plan_file, smollm2), task, tmp_path, limit=limit,
        tasks=tasks, more=("--batch_size", "4"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    opened = held_together(own(task), samples_of(tmp_path, task), bounds)
    assert task == "sna_math_easy" or 0 < opened < limit


def test_killed_and_gone_on_with(
    server: Server, plan_file: Path, smollm2: Path, tasks: Path, tmp_path: Path, shared_data: Path
) -> None:
    """The rerun asks only for what is missing, and gives the same."""
    arguments = f"{_served(server, plan_file, smollm2)},max_retries=2"
    cache = ("--use_cache", str(tmp_path / "answers"))

    def run(name: str, *more: str) -> Any:
        return lm_eval(
            "sna-completions", arguments, "sna_sst2", tmp_path / name, limit=60, tasks=tasks,
            more=more,
        )  # fmt: skip

    assert run("whole").returncode == 0
    killer = threading.Thread(target=_kill_after, args=(server, tmp_path / "answers"))
    killer.start()
    broken = run("broken", *cache)
    killer.join()
    assert broken.returncode == 2
    (said,) = [line for line in broken.stderr.splitlines() if line.startswith("sna-eval: error")]
    assert "base_url: expected a server that answers" in said
    kept = _kept(tmp_path / "answers")
    assert kept
    server.start()
    again = run("again", *cache)
    assert again.returncode == 0, again.stderr[-2000:]
    whole, rerun = (samples_of(tmp_path / name, "sna_sst2") for name in ("whole", "again"))
    held_together(whole, rerun, TASKS["sna_sst2"][1])
    (asked,) = set(re.findall(r"Asking the server: .*?(\d+)/120", again.stderr)[:1])
    assert int(asked) >= min(kept, 120) // 2  # the bar begins where the answers end


def _kill_after(server: Server, cache: Path) -> None:
    """Once some answers are kept."""
    for _ in range(2000):
        if _kept(cache) > 20:
            break
        time.sleep(0.05)
    server.kill()


def _kept(cache: Path) -> int:
    import sqlite3

    found = [own for own in cache.parent.glob(f"{cache.name}*") if own.suffix == ".db"]
    if not found:
        return 0
    with sqlite3.connect(found[0]) as database:
        try:
            return int(database.execute("SELECT count(*) FROM sna_served").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("sna", 0, "verified"),
        ("twice", 1, "times as strongly as the plan"),
        ("nothing", 1, "no-op"),
        ("base", 1, "no-op"),
        ("gone", 1, "not loaded"),
    ],
)
def test_verify(
    name: str, status: int, said: str, server: Server, export_folder: Path, capsys: Any
) -> None:
    words = ["verify", str(export_folder), "--url", server.url, "--base", "base", "--adapter", name]
    assert main(words) == status
    assert said in capsys.readouterr().out
