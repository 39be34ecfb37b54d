"""The search for neurons: every wanted layer at once, by any ranking.

Plans, controls, sweeps and the app all ask here. What is observed of a task's prompts and of
neutral text comes from one pass each (`neurons.observed`); which neurons that puts first is the
ranking's (`neurons.rankings`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sna_eval.cache import prompt_fingerprint
from sna_eval.intervention import Row, Unit
from sna_eval.neurons.bench import Examples, Workbench
from sna_eval.neurons.observed import Observed, neutral_sentences
from sna_eval.neurons.ranking import Ranked, Ranking
from sna_eval.neurons.rankings import RANKINGS, USUAL
from sna_eval.neurons.statistics import SILENT, Pooling, Progress, Sinks
from sna_eval.neurons.universal import Universal

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
    pairs: str | None = None
    """The file that the examples are pairs of; `None`: they are a task's."""
    universal: Universal | None = None
    """The rule by which universal neurons are left out; `None`: they count as others do."""

    @property
    def orders(self) -> bool:
        """Whether neurons are put in an order, and not drawn."""
        return RANKINGS.find(self.ranking).orders


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
        self.ranking: Ranking = RANKINGS.find(config.ranking)
        self.examples = examples.at_most(config.max_prompts)
        reference = neutral_sentences() if config.reference is None else config.reference
        self.observed = Observed(
            self.bench, self.examples, tuple(sorted(set(layers))), reference, config.pooling,
            config.sinks, self.ranking.by_class, answered, config.max_prompts, progress,
            config.universal,
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
        return self._best(self.ranking, layer, top_k)

    def _best(self, ranking: Ranking, layer: int, top_k: int) -> Ranked:
        left_out = self.observed.left_out.get(layer, ())
        if not left_out or not ranking.orders:  # a draw leaves them out itself
            return ranking.best(self.observed, layer, top_k, self.config.seed)
        deep = min(top_k + len(left_out), self._most(ranking))
        return ranking.best(self.observed, layer, deep, self.config.seed).without(left_out, top_k)

    def every(self, top_k: int) -> dict[int, Ranked]:
        """The same for all layers."""
        return {layer: self.best(layer, top_k) for layer in self.layers}

    @property
    def n_all(self) -> int:
        """Neurons of the model, all layers together."""
        return self.bench.sites.n_units * len(self.bench.sites.layers)

    def across(self, count: int) -> dict[int, dict[str, int]]:
        """How many neurons of each layer are among the `count` best of all layers together.

        Scores are compared as they are, and equal ones by layer. Of each label so many are counted;
        of a draw those of the neurons that it stands in for.

        **Returns:** by layer and label; layers that have none are left out.

        **Raises:** `InputError` for examples that the ranking cannot rank on.
        """
        self.check(1)
        ranking = self.ranking if self.ranking.orders else RANKINGS.find(USUAL)
        depth = min(count, self._most(self.ranking))
        scored: dict[str, list[tuple[float, int]]] = {}
        for layer in self.layers:
            for label, chosen in self._best(ranking, layer, depth).selected.items():
                scored.setdefault(label, []).extend((-score, layer) for score in chosen.scores)
        counts: dict[int, dict[str, int]] = {}
        for label, entries in scored.items():
            for _, layer in sorted(entries)[:count]:
                of_layer = counts.setdefault(layer, dict.fromkeys(scored, 0))
                of_layer[label] += 1
        return {layer: counts[layer] for layer in sorted(counts)}

    def _most(self, ranking: Ranking) -> int:
        """Neurons of a set that a layer has room for."""
        return self.bench.sites.n_units // ranking.ends

    def last(self, layer: int, top_k: int) -> Ranked:
        """As many from the other end of the order."""
        self.check(top_k)
        assert self.ranking.last is not None, "a draw at random has no other end"
        left_out = self.observed.left_out.get(layer, ())
        deep = min(top_k + len(left_out), self._most(self.ranking)) if left_out else top_k
        return self.ranking.last(self.observed, layer, deep).without(left_out, top_k)

    def check(self, top_k: int) -> None:
        self.ranking.check(self.examples, top_k, self.bench.sites.n_units)

    def record(self, top_k: int, ranked: Ranked | None = None) -> dict[str, Any]:
        """How neurons were found, as a plan file says it.

        **Arguments:**

        - `ranked`: what was found, for what there is to say of that.
        """
        config = self.config
        reference = {"reference_hash": prompt_fingerprint(self.observed.reference)}
        return {
            "method": self.ranking.name,
            "top_k": top_k,
            "prompts": "development" if config.pairs is None else Path(config.pairs).name,
            **self.bench.sites.described,
            **self._settings,
            "max_prompts": self.config.max_prompts,
            "sinks": self.observed.settled_sinks,
            "model_hash": self.bench.model_hash,
            "prompt_hash": self.examples.fingerprint,
            **({} if self.examples.paired else reference),
            "n_prompts": len(self.examples.prompts),
            **({"task_arguments": said} if (said := dict(self.examples.arguments)) else {}),
            **({} if config.universal is None else {"universal": config.universal.record()}),
            **({"texts": "whole, right answers included"} if self.examples.whole else {}),
            **self.ranking.record(self.examples),
            **({} if ranked is None else ranked.about(top_k)),
        }

    @cached_property
    def _settings(self) -> dict[str, Any]:
        given = {
            "pooling": self.config.pooling,
            "reference": self._compared_with,
            "seed": self.config.seed,
        }
        return {name: value for name, value in given.items() if name in self.ranking.settings}

    @property
    def _compared_with(self) -> str:
        if self.examples.paired:
            return "negative"
        return "neutral" if self.config.reference is None else "own"
