"""The neurons of every layer in the order a grid takes them, best first.

All layers are ranked from the same passes, and the `k` neurons of a configuration are the first `k`
of its layer's list: sets of growing size are nested, and equal to what a plan's `select:` with
`top_k: k` finds. Random neurons are so for the largest `k` alone: those of fewer leave out every
neuron that the largest set stands in for, a plan's own only their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import torch

from sna_eval.errors import InputError
from sna_eval.harness.tasks.live_tasks import examples_of
from sna_eval.hashing import digest
from sna_eval.intervention import Row
from sna_eval.methods import Examples, Workbench
from sna_eval.neurons import (
    Pooling,
    Selected,
    attribution,
    attribution_scores,
    contrastive,
    differential,
    matched_random,
    mean_activations,
    neutral_sentences,
    overlap,
)
from sna_eval.plan import (
    UNLABELLED,
    answers_fingerprint,
    model_fingerprint,
    prompt_fingerprint,
)

Method = Literal["differential", "contrastive", "attribution", "random"]
"""`differential`: task against neutral text. `contrastive`: one class against the other.
`attribution`: by the gradient of the right answer's log-probability. `random`: a control, matched
in mean activation to the differential neurons."""


@dataclass(frozen=True)
class Ranking:
    """One layer's neurons by label, best first; the one label `""` where there are no classes."""

    selected: Mapping[str, Selected]
    apart: tuple[Selected, Selected] | None = None
    """What two separate selections, each class against neutral text, would have been."""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(label for label in self.selected if label != UNLABELLED)

    def first(self, count: int) -> dict[str, Selected]:
        """The `count` best of each label."""
        return {label: _first(own, count) for label, own in self.selected.items()}

    def remarks(self, count: int) -> dict[str, Any]:
        """What a plan file should say beside these neurons."""
        if self.apart is None:
            return {}
        shared = overlap(*(_first(own, count) for own in self.apart))
        return {"one_vs_neutral_overlap": round(shared, 4)}


@dataclass(eq=False)
class Ranker:
    """Ranks neurons of one model by one method."""

    bench: Workbench
    layers: tuple[int, ...]
    pooling: Pooling = "mean"
    seed: int = 0
    reference: tuple[str, ...] | None = None
    """Texts that a task is compared with; `None`: the bundled neutral sentences."""

    def rank(
        self,
        method: Method,
        examples: Examples,
        answered: Callable[[], Sequence[Row]],
        *,
        top_k: int,
    ) -> dict[int, Ranking]:
        """The `top_k` best neurons of every layer.

        **Arguments:**

        - `examples`: development prompts.
        - `answered`: gives the same prompts with their right answers as only branch; asked by
            `attribution` alone.
        """
        if method == "contrastive":
            return self._contrastive(examples, top_k)
        if method == "attribution":
            return self._attribution(answered(), top_k)
        if method == "random":
            return self._random(examples, top_k)
        if method == "differential":
            return self._differential(examples, top_k)
        raise InputError("select", expected=f"one of {', '.join(get_args(Method))}", got=method)

    def found(
        self, method: Method, examples: Examples, ranking: Ranking, count: int
    ) -> dict[str, Any]:
        """How neurons were found, as a plan file records it."""
        return {
            "method": method,
            "top_k": count,
            "prompts": "development",
            "pooling": self.pooling,
            **({} if method in ("contrastive", "attribution") else {"reference": self._named}),
            **({"seed": self.seed} if method == "random" else {}),
            "model_hash": self.model_hash,
            "prompt_hash": examples_fingerprint(examples),
            "reference_hash": prompt_fingerprint(self._texts),
            "n_prompts": len(examples.prompts),
            **answers_hash(method, examples),
            **ranking.remarks(count),
        }

    @cached_property
    def model_hash(self) -> str:
        return model_fingerprint(self.bench.model)

    @cached_property
    def _neutral(self) -> dict[int, torch.Tensor]:
        return self._means(self._texts)

    @property
    def _texts(self) -> tuple[str, ...]:
        return neutral_sentences() if self.reference is None else self.reference

    @property
    def _named(self) -> str:
        return "neutral" if self.reference is None else "own"

    def _means(self, prompts: Sequence[str]) -> dict[int, torch.Tensor]:
        return mean_activations(
            self.bench.model,
            self.bench.sites,
            self.bench.rows(prompts),
            layers=self.layers,
            pooling=self.pooling,
            batch_size=self.bench.batch_size,
        )

    def _differential(self, examples: Examples, top_k: int) -> dict[int, Ranking]:
        task = self._means(examples.prompts)
        return {
            layer: Ranking({UNLABELLED: self._against_neutral(task, layer, top_k)})
            for layer in self.layers
        }

    def _against_neutral(
        self, means: Mapping[int, torch.Tensor], layer: int, top_k: int
    ) -> Selected:
        return differential(means[layer], self._neutral[layer], top_k=top_k)

    def _random(self, examples: Examples, top_k: int) -> dict[int, Ranking]:
        means = self._means(examples.prompts)
        found = {}
        for layer in self.layers:
            chosen = self._against_neutral(means, layer, top_k)
            drawn = matched_random(means[layer], chosen, seed=self.seed)
            found[layer] = Ranking({UNLABELLED: drawn})
        return found

    def _attribution(self, rows: Sequence[Row], top_k: int) -> dict[int, Ranking]:
        scores = attribution_scores(
            self.bench.model,
            self.bench.sites,
            rows,
            layers=self.layers,
            batch_size=self.bench.batch_size,
        )
        return {
            layer: Ranking({UNLABELLED: attribution(scores[layer], top_k=top_k)})
            for layer in self.layers
        }

    def _contrastive(self, examples: Examples, top_k: int) -> dict[int, Ranking]:
        first_name, second_name = self._two_labels(examples, top_k)
        means = [self._means(examples.of_label(label)) for label in (0, 1)]
        found = {}
        for layer in self.layers:
            first, second = contrastive(means[0][layer], means[1][layer], top_k=top_k)
            apart = tuple(self._against_neutral(own, layer, top_k) for own in means)
            found[layer] = Ranking({first_name: first, second_name: second}, (apart[0], apart[1]))
        return found

    def _two_labels(self, examples: Examples, top_k: int) -> tuple[str, str]:
        names = examples.label_names
        usable = examples.labels is not None and len(set(names)) == 2
        if not usable or not all(examples.of_label(label) for label in (0, 1)):
            raise InputError(
                "select",
                expected="a task with exactly two labels, and items of both, for `contrastive`",
                got=", ".join(names) or "no labels",
                hint="use `differential`",
            )
        if 2 * top_k > self.bench.sites.d_mlp:
            raise InputError(
                "n_neurons",
                expected=f"at most {self.bench.sites.d_mlp // 2}, half of the layer's neurons",
                got=top_k,
            )
        return names[0], names[1]


def examples_fingerprint(examples: Examples) -> str:
    """Hash of prompts and labels, the same as in a plan that was resolved on them."""
    labels = map(str, examples.labels or ())
    return prompt_fingerprint([*examples.prompts, *examples.label_names, *labels])


def development_fingerprint(task: Any) -> str:
    """Hash of all that may be searched on in a task; empty where it has no development items."""
    try:
        examples = examples_of(task)
    except InputError:
        return ""
    asked = [[own.context, own.described, *own.choices, own.right] for own in examples.questions]
    return digest([examples_fingerprint(examples), asked])


def answers_hash(method: Method, examples: Examples) -> dict[str, str]:
    """The right answers' hash, as in a plan, where neurons depend on them."""
    return {"answer_hash": answers_fingerprint(examples)} if method == "attribution" else {}


def _first(selected: Selected, count: int) -> Selected:
    return Selected(selected.neurons[:count], selected.scores[:count])
