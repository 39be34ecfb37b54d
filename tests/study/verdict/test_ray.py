"""Random rankings on a Ray cluster: the same bytes as in one process, whoever goes on.

The whole verdict by workers that load model and tasks is slow; by default the cluster, the kill and
the executor are real and the portions light.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sna_eval.cache import digest
from sna_eval.errors import InputError
from sna_eval.harness.loading import load_lm
from sna_eval.study import ray_cluster
from sna_eval.study.nulls import searching as searching_module
from sna_eval.study.nulls.searching import Draw, draw_here
from sna_eval.study.nulls.task_search import TaskSearch
from sna_eval.study.verdict import (
    RayDraws,
    RegisterOptions,
    Registration,
    local_executor,
    ray_draws,
    reach_verdict,
    register,
)
from sna_eval.study.verdict.registering import registered_search, registered_tasks
from sna_eval.study.verdict.registration import RegisteredSearch
from tests.study.ray_workers import busy_workers, ray_here
from tests.study.sweep.processes import content, kill


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def verdict(
    lm: Any, registration: Registration, tmp_path: Path, no_cache: None, one_thread: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., dict[str, bytes]]:  # fmt: skip
    """All files of a verdict on two tasks of two portions each."""
    monkeypatch.setattr(searching_module, "PORTION", 2)
    registration.save(tmp_path / "reg.yaml")
    return _verdict(lm, registration, tmp_path)


def _verdict(lm: Any, registration: Registration, folder: Path) -> Callable[..., dict[str, bytes]]:
    def reach(name: str, executor: Any) -> dict[str, bytes]:
        output = folder / name
        found = reach_verdict(
            lm, registration, folder / "reg.yaml", output, executor=executor, quiet=True
        )
        found.save(output)
        return content(output)

    return reach


def stopping(executor: Any, after: int) -> Any:
    """An executor that is interrupted once some portions are there."""

    @contextmanager
    def stopped(*asked: Any) -> Iterator[Draw]:
        left = [None] * after

        def draw(*portion: Any) -> Any:
            if not left:
                raise KeyboardInterrupt
            left.pop()
            return inner(*portion)

        with executor(*asked) as inner:
            yield draw

    return stopped


def test_portions_of_a_killed_worker_are_searched_again(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor's part, with portions that cost nothing; one kills its worker once."""

    def light(registration: str, name: str, numbers: range, threads: int, expected: str) -> Any:
        assert (registration, expected) == ("registered", wanted[name])
        marker = tmp_path / "killed"
        if (name, numbers.start) == ("a", 20) and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [(name, number, threads) for number in numbers]

    monkeypatch.setattr(ray_draws, "search_portion", light)
    searches: Any = {
        name: SimpleNamespace(
            name=name, options=SimpleNamespace(draws=45), settings=lambda name=name: {"task": name}
        )
        for name in ("a", "b")
    }
    wanted = {name: digest({"task": name}) for name in searches}
    folders = {name: tmp_path / name for name in searches}
    found: list[Any] = []
    told: list[float] = []
    registered: Any = "registered"
    with RayDraws()(registered, searches, folders) as draw:
        for search in searches.values():
            for numbers in (range(20), range(20, 40), range(40, 45)):
                found += draw(search, numbers, told.append)
    assert found == [(name, number, 1) for name in ("a", "b") for number in range(45)]
    assert (tmp_path / "killed").exists()
    assert told == [20, 20, 5, 20, 20, 5]


def test_the_same_bytes_and_all_portions_at_once(
    verdict: Callable[..., dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is sent out before the first claim is searched for; nothing else is."""
    sent: list[Any] = []
    monkeypatch.setattr(ray_cluster, "ray_module", lambda: ray_here(sent))
    whole = verdict("local", local_executor)
    before_claims: list[int] = []
    claim = TaskSearch.claim

    def watched(self: TaskSearch, *arguments: Any) -> Any:
        before_claims.append(len(sent))
        return claim(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TaskSearch, "claim", watched)
        assert verdict("ray", RayDraws()) == whole
    assert before_claims == [4, 4]
    portions = [(name, numbers) for _, name, numbers, *_ in sent]
    assert portions == [
        (name, numbers)
        for name in ("own_open", "own_choices")
        for numbers in (range(2), range(2, 3))
    ]
    assert {threads for *_, threads, _ in sent} == {1}
    assert {"nulls/own_open/draws.jsonl", "searches.csv", "verdict.json"} <= whole.keys()


@pytest.mark.parametrize(("first", "then"), [("local", "ray"), ("ray", "local")])
def test_a_stopped_run_goes_on_elsewhere(
    first: str, then: str, verdict: Callable[..., dict[str, bytes]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sent: list[Any] = []
    monkeypatch.setattr(ray_cluster, "ray_module", lambda: ray_here(sent))
    executors: dict[str, Any] = {"local": local_executor, "ray": RayDraws()}
    whole = verdict("whole", local_executor)
    with pytest.raises(KeyboardInterrupt):
        verdict("cut", stopping(executors[first], 1))
    assert len((tmp_path / "cut/nulls/own_open/draws.jsonl").read_text().splitlines()) == 2
    sent.clear()
    assert verdict("cut", executors[then]) == whole
    assert len(sent) == (3 if then == "ray" else 0)


def test_a_worker_with_another_model_or_other_items_is_refused(
    lm: Any, registration: Registration, one_thread: None
) -> None:
    """What it found would stand beside a claim that was searched in something else."""
    name = "own_choices"
    search = registered_search(registration, lm, name, registered_tasks(registration)[name])
    expected = digest(search.settings())
    found = ray_draws.search_portion(registration, name, range(2), 1, expected)
    assert found == draw_here(search, range(2), lambda done: None)
    for key in ("model_hash", "test_hash", "search", "versions"):
        other = digest({**search.settings(), key: "another"})
        with pytest.raises(InputError, match="executor: expected the same model, items and vers"):
            ray_draws.search_portion(registration, name, range(2), 1, other)


@pytest.fixture
def bundled(
    tmp_path: Path, no_cache: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, bytes]]:
    """All files of a verdict on the bundled model, two tasks of four portions each."""
    monkeypatch.setattr(searching_module, "PORTION", 2)
    arguments = "pretrained=sna-reference"
    lm = load_lm(arguments, gate="never")
    search = RegisteredSearch(
        layers=(1, 4), n_neurons=(3, 5), multipliers=(1.5, 2.0), measured=2, limit=12,
        development_limit=12,
    )  # fmt: skip
    tasks = ("sna_poetry_easy", "sna_math_easy")
    asked = RegisterOptions(tasks=tasks, model_args=arguments, search=search, draws=7)
    registration = register(lm, asked, quiet=True)
    registration.save(tmp_path / "reg.yaml")
    return _verdict(lm, registration, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds workers in /proc")
def test_a_verdict_by_workers_one_of_which_is_killed(
    cluster: Any, bundled: Callable[..., dict[str, bytes]]
) -> None:
    """The whole of it: the same bytes as in one process, which goes on where workers stopped."""
    killed: list[int] = []

    @contextmanager
    def killing(*asked: Any) -> Iterator[Draw]:
        with RayDraws()(*asked) as inner:

            def draw(*portion: Any) -> Any:
                found = inner(*portion)
                busy = [] if killed else list(busy_workers("search_portion"))
                for worker in busy[:1]:
                    kill(worker)
                    killed.append(worker)
                return found

            yield draw

    whole = bundled("local", local_executor)
    assert bundled("ray", killing) == whole
    assert killed
    assert killed[0] not in busy_workers("search_portion")
    lines = whole["nulls/sna_math_easy/draws.jsonl"].splitlines()
    assert [json.loads(line)["draw"] for line in lines] == list(range(7))
    with pytest.raises(KeyboardInterrupt):
        bundled("cut", stopping(RayDraws(), 1))
    assert bundled("cut", local_executor) == whole
