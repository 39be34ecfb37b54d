"""The search for neurons: every wanted layer at once, by any ranking.

Plans, controls, sweeps and the app all ask here. What is observed of a task's prompts and of
neutral text comes from one pass each (`neurons.observed`); which neurons that puts first is the
ranking's (`neurons.rankings`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sna_eval.hashing import prompt_fingerprint
from sna_eval.intervention import Row, Unit
from sna_eval.neurons.bench import Workbench
from sna_eval.neurons.examples import Examples
from sna_eval.neurons.observed import Observed
from sna_eval.neurons.progress import SILENT, Progress
from sna_eval.neurons.ranking import Ranked, Ranking
from sna_eval.neurons.rankings import USUAL, find_ranking
from sna_eval.neurons.reference import neutral_sentences
from sna_eval.neurons.statistics import Pooling, Sinks

MAX_PROMPTS = 256
"""Prompts that neurons are searched on at most, where nothing else is asked."""


@dataclass(frozen=True)
class SearchConfig:
    """How neurons are searched."""

    ranking: str = USUAL
    """Name of a ranking in `sna_eval.neurons.rankings`."""
    pooling: Pooling = "mean"
    """Prompt tokens that count."""
    seed: int = 0
    """Which draw, for a ranking that draws."""
    max_prompts: int = MAX_PROMPTS
    """Prompts at most, spread evenly over those there are."""
    sinks: Sinks = "drop"
    """Whether position 0 counts."""
    unit: Unit = "mlp"
    """What is searched: neurons or attention heads."""
    reference: tuple[str, ...] | None = None
    """Texts that a task is compared with; `None`: the bundled neutral sentences."""

    @property
    def orders(self) -> bool:
        """Whether neurons are put in an order, and not drawn."""
        return find_ranking(self.ranking).orders


class Search:
    """One task's neurons in some layers of one model. Nothing runs before it is needed.

    **Arguments:**

    - `examples`: development prompts, of which `max_prompts` are used.
    - `layers`: block indices that are wanted; all of them are found in one pass.
    - `answered`: gives the prompts with their right answers as only branch, for rankings that read
        these; `None`: the examples' questions.
    - `progress`: told of prompts as they are read.

    **Raises:** `InputError` for a ranking there is not.
    """

    def __init__(
        self,
        bench: Workbench,
        examples: Examples,
        config: SearchConfig,
        layers: Sequence[int],
        *,
        answered: Callable[[], Sequence[Row]] | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self.bench, self.config = bench.of(config.unit), config
        self.ranking: Ranking = find_ranking(config.ranking)
        self.examples = examples.at_most(config.max_prompts)
        reference = neutral_sentences() if config.reference is None else config.reference
        self.observed = Observed(
            self.bench, self.examples, tuple(sorted(set(layers))), reference, config.pooling,
            config.sinks, self.ranking.by_class, answered, config.max_prompts, progress,
        )  # fmt: skip

    @property
    def layers(self) -> tuple[int, ...]:
        """The wanted layers, lowest first."""
        return self.observed.layers

    def best(self, layer: int, top_k: int) -> Ranked:
        """The `top_k` neurons that the ranking puts first in a layer.

        **Raises:** `InputError` for examples that it cannot rank on, and for more neurons than a
        layer has for it.
        """
        self.check(top_k)
        return self.ranking.best(self.observed, layer, top_k, self.config.seed)

    def every(self, top_k: int) -> dict[int, Ranked]:
        """The same for all layers."""
        return {layer: self.best(layer, top_k) for layer in self.layers}

    def last(self, layer: int, top_k: int) -> Ranked:
        """As many from the other end of the order."""
        self.check(top_k)
        assert self.ranking.last is not None, "a draw at random has no other end"
        return self.ranking.last(self.observed, layer, top_k)

    def check(self, top_k: int) -> None:
        self.ranking.check(self.examples, top_k, self.bench.sites.n_units)

    def record(self, top_k: int, ranked: Ranked | None = None) -> dict[str, Any]:
        """How neurons were found, as a plan file says it.

        **Arguments:**

        - `ranked`: what was found, for what there is to say of that.
        """
        return {
            "method": self.ranking.name,
            "top_k": top_k,
            "prompts": "development",
            **({"unit": self.config.unit} if self.config.unit != "mlp" else {}),
            **self._settings,
            "max_prompts": self.config.max_prompts,
            "sinks": self.observed.settled_sinks,
            "model_hash": self.bench.model_hash,
            "prompt_hash": self.examples.fingerprint,
            "reference_hash": prompt_fingerprint(self.observed.reference),
            "n_prompts": len(self.examples.prompts),
            **({"texts": "whole, right answers included"} if self.examples.whole else {}),
            **self.ranking.record(self.examples),
            **({} if ranked is None else ranked.about(top_k)),
        }

    @cached_property
    def _settings(self) -> dict[str, Any]:
        given = {
            "pooling": self.config.pooling,
            "reference": "neutral" if self.config.reference is None else "own",
            "seed": self.config.seed,
        }
        return {name: value for name, value in given.items() if name in self.ranking.settings}
