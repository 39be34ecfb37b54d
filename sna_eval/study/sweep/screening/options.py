"""What a screened sweep measures of what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sna_eval.errors import InputError
from sna_eval.neurons.bench import spread_over

_SMALLEST_HEAT = 8
"""Items that tell configurations apart at all."""


@dataclass(frozen=True)
class ScreenOptions:
    """Shares of a task's grid that are measured; the rest stays predicted."""

    verify: float = 0.05
    """Share tried because the prediction, or what was measured around it, says it is good."""
    at_least: int = 40
    """Configurations that `verify` stands for in a small grid."""
    sample: float = 0.02
    """Share measured by chance, equally many of every multiplier: it tells how well predictions
    hold."""
    sample_at_least: int = 40
    """Configurations that `sample` stands for in a small grid."""
    heat: float = 0.2
    """Share of the items that what is tried runs on first, all of it on one half of them and the
    better half of it on the other; 1 runs it on all of them at once."""
    finalists: float = 0.1
    """Share of what was tried that goes on to the other items, and so is measured: the best."""

    def __post_init__(self) -> None:
        for name in ("verify", "sample", "heat", "finalists"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise InputError(name, expected="a share from 0 to 1", got=share)
        for name in ("at_least", "sample_at_least"):
            if getattr(self, name) < 1:
                raise InputError(name, expected="1 or more", got=getattr(self, name))

    @classmethod
    def within(cls, configurations: int) -> ScreenOptions:
        """A screen that measures no more than so many configurations of any grid.

        A fifth by chance, and as many again where predictions do not hold.
        """
        sample = max(1, configurations // 5)
        best = max(1, configurations - 2 * sample)
        return cls(verify=0.0, at_least=best, sample=0.0, sample_at_least=sample, heat=1.0)

    def n_best(self, grid_size: int) -> int:
        """Configurations tried for what they promise."""
        return min(grid_size, max(self.at_least, round(self.verify * grid_size)))

    def n_sample(self, grid_size: int) -> int:
        """Configurations measured by chance."""
        return min(grid_size, max(self.sample_at_least, round(self.sample * grid_size)))

    def heat_of(self, opened: Sequence[int], n_items: int) -> tuple[int, ...]:
        """Places of the heat's items; none where they would be half of all, or more.

        **Arguments:**

        - `opened`: places of the items that a gain is taken over.
        """
        count = max(_SMALLEST_HEAT, round(self.heat * n_items))
        return tuple(spread_over(opened, count)) if 2 * count < n_items else ()

    def n_second_round(self, tried: int) -> int:
        """How many of those tried run on the second half of the heat."""
        return -(-tried // 2)

    def n_finalists(self, tried: int) -> int:
        """How many of those tried are measured."""
        return min(tried, max(1, round(self.finalists * tried)))

    def n_run(self, grid_size: int) -> int:
        """Configurations that are run on some items at least; fewer where predictions hold."""
        return min(grid_size, self.n_best(grid_size) + 2 * self.n_sample(grid_size))

    def effort(self, grid_size: int, n_items: int) -> float:
        """What is run, counted in configurations on all items; less where predictions hold."""
        sample = self.n_sample(grid_size)
        tried = self.n_run(grid_size) - sample
        heat = len(self.heat_of(range(n_items), n_items)) / n_items
        if heat == 0.0:
            return sample + tried
        both_rounds = (tried + self.n_second_round(tried)) / 2
        return sample + both_rounds * heat + self.n_finalists(tried) * (1 - heat)
