"""How far a search is: whoever waits for it is told."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm


class Progress:
    """Told of prompts; this one keeps it to itself."""

    def expect(self, prompts: int) -> None:
        """So many further prompts will be read than was said before."""

    def read(self, prompts: int) -> None:
        """So many further prompts were read."""


SILENT = Progress()


class SearchBar(Progress):
    """A progress bar over the prompts of all tasks, which names the task that is searched for.

    It stands there once there is something to read: what is kept needs none.
    """

    def __init__(self, *, quiet: bool, task: str = "", leave: bool = True) -> None:
        self._quiet, self._task, self._leave = quiet, task, leave
        self._bar: Any = None

    def name(self, task: str) -> None:
        self._task = task
        if self._bar is not None:
            self._bar.set_postfix_str(task)

    def expect(self, prompts: int) -> None:
        if self._bar is None and prompts:
            self._bar = tqdm(
                total=0, desc="Searching neurons", unit=" prompts", disable=self._quiet,
                postfix=self._task, leave=self._leave,
            )  # fmt: skip
        if prompts:
            self._bar.total += prompts
            self._bar.refresh()

    def read(self, prompts: int) -> None:
        if self._bar is not None:
            self._bar.update(prompts)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
