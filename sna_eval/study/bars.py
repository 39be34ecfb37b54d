"""A bar over work that is told of in parts: sets of neurons on some of their rows, stages."""

from __future__ import annotations

from collections.abc import Callable

from tqdm import tqdm

Moved = Callable[[float], object]
"""Told of what is done, in parts of one."""
Begin = Callable[[str], Moved]
"""Told that a stage begins; returns what is told of its parts."""


class PartsBar(tqdm):  # type: ignore[type-arg]
    """Parts that add up to a hair more than everything are everything.

    **Arguments:**

    - `total`: how many there are.
    - `name`: what stands before the bar.
    """

    def __init__(self, total: int, name: str, *, quiet: bool) -> None:
        form = "{l_bar}{bar}| {n:.0f}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
        super().__init__(total=total, desc=name, bar_format=form, disable=quiet, leave=False)
        self._all = total

    def update(self, n: float | None = 1) -> bool | None:
        return super().update(min(1 if n is None else n, self._all - self.n))

    def reach(self, done: int, stage: str = "") -> None:
        """Goes to where so many are done, however many parts were told of; a stage is named."""
        self.set_postfix_str(stage, refresh=False)
        self.update(done - self.n)
        self.refresh()


def scaled(moved: Moved | None, factor: float) -> Moved | None:
    """What is told of parts that are each so much of one."""
    return None if moved is None else lambda done: moved(done * factor)
