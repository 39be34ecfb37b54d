"""What a screened sweep measures of what it predicts."""

from __future__ import annotations

from dataclasses import dataclass

from sna_eval.errors import InputError


@dataclass(frozen=True)
class ScreenOptions:
    """Shares of a task's grid that are measured; the rest stays predicted."""

    verify: float = 0.05
    """Share measured because the prediction, or what was measured around it, says it is good."""
    at_least: int = 40
    """Configurations that `verify` stands for in a small grid."""
    sample: float = 0.02
    """Share measured by chance, equally many of every multiplier: it tells how well predictions
    hold."""
    sample_at_least: int = 40
    """Configurations that `sample` stands for in a small grid."""

    def __post_init__(self) -> None:
        for name in ("verify", "sample"):
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
        return cls(verify=0.0, at_least=best, sample=0.0, sample_at_least=sample)

    def n_best(self, grid_size: int) -> int:
        """Configurations measured for what they promise."""
        return min(grid_size, max(self.at_least, round(self.verify * grid_size)))

    def n_sample(self, grid_size: int) -> int:
        """Configurations measured by chance."""
        return min(grid_size, max(self.sample_at_least, round(self.sample * grid_size)))
