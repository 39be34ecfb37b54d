"""Random rankings on a Ray cluster: portions run where there is room, a lost worker's run again.

All portions that the folders lack are sent out at once, so that workers search while the process
that was started searches for the claims. They load the registered model and tasks themselves and
send back what they found (`study.ray_cluster`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sna_eval.cache import digest
from sna_eval.harness.loading import load_lm
from sna_eval.measuring.moved import Moved
from sna_eval.study.nulls.records import Found
from sna_eval.study.nulls.searching import Draw, missing_portions
from sna_eval.study.nulls.task_search import TaskSearch
from sna_eval.study.ray_cluster import RayCluster, check_equal_here, received
from sna_eval.study.verdict.registering import registered_search, registered_tasks
from sna_eval.study.verdict.registration import Registration


@dataclass(frozen=True)
class RayDraws(RayCluster):
    """Searches random rankings on a Ray cluster."""

    @contextmanager
    def __call__(
        self,
        registration: Registration,
        searches: Mapping[str, TaskSearch],
        folders: Mapping[str, Path],
    ) -> Iterator[Draw]:
        """Sends out what is missing; the body waits for each portion as it comes to it."""
        missing = {name: missing_portions(searches[name], folders[name]) for name in searches}
        with self.connected() as ray:
            remote, threads = self.remote(ray, search_portion), torch.get_num_threads()
            sent: dict[tuple[str, range], Any] = {}
            for name, portions in missing.items():
                expected = _fingerprint(searches[name])
                for numbers in portions:
                    sent[name, numbers] = remote.remote(
                        registration, name, numbers, threads, expected
                    )

            def draw(search: TaskSearch, numbers: range, moved: Moved) -> list[Found]:
                found: list[Found] = received(ray, sent.pop((search.name, numbers)))
                moved(len(found))
                return found

            yield draw


def search_portion(
    registration: Registration, name: str, numbers: range, threads: int, expected: str
) -> list[Found]:
    """Searches some of a task's random rankings in a worker process.

    **Arguments:**

    - `threads`: as many as the starting process computes with: sums depend on it.
    - `expected`: fingerprint of the task's search as the starting process has it.

    **Raises:** `InputError` where this machine has another model, other items or versions.
    """
    torch.set_num_threads(threads)
    search = _kept(registration).search(name)
    check_equal_here(_fingerprint(search), expected, what="model, items and versions")
    return search.nulls(numbers)


def _fingerprint(search: TaskSearch) -> str:
    """Of all that draws depend on: model, items, settings, versions."""
    return digest(search.settings())


class _Kept:
    """A worker's model and tasks, kept for its next portion, and the search of its last."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self._lm = load_lm(registration.model.arguments, gate="never")
        self._tasks = registered_tasks(registration)
        self._search: TaskSearch | None = None

    def search(self, name: str) -> TaskSearch:
        """A task's search; that of another task goes."""
        if self._search is None or self._search.name != name:
            self._search = None
            self._search = registered_search(self.registration, self._lm, name, self._tasks[name])
        return self._search


_LAST: list[_Kept] = []
"""The one that this worker searched with last."""


def _kept(registration: Registration) -> _Kept:
    if not _LAST or _LAST[0].registration != registration:
        _LAST.clear()  # its model goes before the next one is loaded
        _LAST.append(_Kept(registration))
    return _LAST[0]
