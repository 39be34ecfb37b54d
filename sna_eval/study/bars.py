"""A bar over work that is told of in parts: sets of neurons on some of their rows, stages."""

from __future__ import annotations

from collections.abc import Callable

from tqdm import tqdm

from sna_eval.measuring.moved import Moved

IN_PARTS = "{l_bar}{bar}| {n:.0f}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
"""tqdm's format, without the rate: whole numbers of what is done in parts."""
Begin = Callable[[str], Moved]
"""Told that a stage begins; returns what is told of its parts."""

Say = Callable[[str, float], object]
"""Told what is being done, and how much is done since it was told last."""


def say_nothing(what: str, done: float) -> None:
    """Nobody looks."""


class PartsBar(tqdm):  # type: ignore[type-arg]
    """Parts that add up to a hair more than everything are everything.

    **Arguments:**

    - `total`: how many there are.
    - `name`: what stands before the bar.
    - `done`: how many are there from before.
    - `leave`: whether it stays on the terminal.
    """

    def __init__(
        self, total: int, name: str, *, quiet: bool, done: int = 0, leave: bool = False
    ) -> None:
        super().__init__(
            total=total, desc=name, disable=quiet, initial=done, leave=leave, bar_format=IN_PARTS
        )
        self._all = total

    def update(self, n: float | None = 1) -> bool | None:
        if n == 0:  # something is done, and nobody knows how much of what
            self.refresh()
            return True
        return super().update(min(1 if n is None else n, self._all - self.n))

    def begin(self, total: int, stage: str) -> None:
        """Counts something else from here on."""
        self._all = total
        self.set_postfix_str(stage, refresh=False)
        self.reset(total)

    def reach(self, done: int, stage: str = "") -> None:
        """Goes to where so many are done, however many parts were told of; a stage is named."""
        self.set_postfix_str(stage, refresh=False)
        self.update(done - self.n)
        self.refresh()
