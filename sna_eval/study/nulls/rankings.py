"""Rankings of the neurons of all layers: the claim's, and random ones alike in push."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sna_eval.cache import digest
from sna_eval.neurons import Search, Selected, stand_ins

Ranking = Mapping[int, Mapping[str, Selected]]
"""Ranked neurons, best first, by layer and label."""


@dataclass(frozen=True, eq=False)
class Rankings:
    """One task's rankings, as deep as the largest count of a grid."""

    search: Search
    depth: int
    """Neurons of each label."""
    seed: int

    def real(self) -> Ranking:
        """By the search's own ranking."""
        return {layer: found.selected for layer, found in self.search.every(self.depth).items()}

    def last(self) -> Ranking:
        """From the other end of the search's order."""
        return {layer: self.search.last(layer, self.depth).selected for layer in self.search.layers}

    def random(self, profile: Ranking, draw: int) -> Ranking:
        """A random ranking whose neurons push as far, rank by rank, as those of a profile.

        **Arguments:**

        - `profile`: the ranking that is stood in for; none of its neurons is drawn.
        - `draw`: which one; every layer is drawn by itself.
        """
        push = self.search.observed.push
        return {
            layer: stand_ins(push[layer], sets, seed=int(digest([self.seed, layer, draw]), 16))
            for layer, sets in profile.items()
        }
