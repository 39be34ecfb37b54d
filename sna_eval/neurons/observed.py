"""What a search looks at: statistics of all wanted layers, one pass each, once needed.

Those of the neutral text that neurons are compared on are found once per model. They are kept in
the cache folder under the hash of all they depend on: the model's weights and config, its dtype,
kind of device and the versions that run it, the text's tokens, and which of them count.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any

import torch

from sna_eval.cache import digest, read_entry, write_entry
from sna_eval.errors import InputError
from sna_eval.files import neutral_text_path
from sna_eval.intervention import Row
from sna_eval.intervention.decoder import config_fingerprint
from sna_eval.intervention.stream import column_norms
from sna_eval.neurons.attribution import attribution_scores, gradient_scores
from sna_eval.neurons.bench import Examples, Workbench, no_prompts, spread_over
from sna_eval.neurons.statistics import (
    SILENT,
    Pooling,
    Progress,
    Sinks,
    Sums,
    TokenRow,
    settled_sinks,
    summed_activations,
)
from sna_eval.neurons.universal import Universal
from sna_eval.typed import Json

ByLayer = Mapping[int, torch.Tensor]
"""One value per neuron, `{layer: [d_mlp]}`, float64."""


_RULES = 1
"""To be raised where the same model and text are to give other statistics."""


@cache
def neutral_sentences() -> tuple[str, ...]:
    """Plain declarative sentences, written for this project."""
    lines = neutral_text_path().read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def reference_means(
    bench: Workbench,
    texts: Sequence[str],
    layers: Sequence[int],
    *,
    pooling: Pooling,
    sinks: Sinks,
    progress: Progress = SILENT,
) -> Mapping[int, torch.Tensor]:
    """Mean activations on neutral text, `{layer: [d_mlp]}`: remembered, looked up, or found.

    All layers up to the highest of those asked for are found at once, as the pass runs them anyway.

    **Arguments:**

    - `sinks`: as it was settled with the prompts that these means are set beside.
    """
    rows = bench.rows(texts)
    name = digest([_RULES, _settings(bench), [list(row) for row in rows], pooling, sinks])
    known = bench.neutral.get(name, {})
    if not set(layers) <= known.keys():
        known = _decoded(bench.same(lambda: read_entry(name)), bench.sites.n_units)
    if not set(layers) <= known.keys():
        below = [layer for layer in bench.sites.layers if layer <= max(layers)]
        progress.expect(len(rows))
        (sums,) = summed_activations(
            bench.model, bench.sites, rows, [0] * len(rows), layers=below, pooling=pooling,
            sinks=sinks, progress=progress,
        ).values()  # fmt: skip
        known = sums.means()
        write_entry(
            name, {"layers": {str(layer): _encoded(means) for layer, means in known.items()}}
        )
    bench.neutral[name] = known
    return known


def _settings(bench: Workbench) -> list[Any]:
    """What the model computes depends on."""
    parameter = next(bench.model.parameters())
    return [
        bench.model_hash, config_fingerprint(bench.model), str(parameter.dtype), bench.device.type,
        version("torch"), version("transformers"),
        *bench.sites.described.values(),
    ]  # fmt: skip


def _encoded(means: torch.Tensor) -> str:
    """Numbers as they are, to the bit, in a text that JSON takes."""
    return base64.b64encode(means.numpy().tobytes()).decode("ascii")


def _decoded(entry: Json | None, d_mlp: int) -> dict[int, torch.Tensor]:
    """Means that were kept; none where an entry is none of ours."""
    try:
        kept = {
            int(layer): torch.frombuffer(
                bytearray(base64.b64decode(text, validate=True)), dtype=torch.float64
            )
            for layer, text in (entry or {})["layers"].items()
        }
    except (LookupError, TypeError, ValueError, AttributeError):
        return {}
    return kept if all(len(means) == d_mlp for means in kept.values()) else {}


@dataclass(eq=False)
class Observed:
    """Activations and gradients of one model on one task's development items."""

    bench: Workbench
    examples: Examples
    layers: tuple[int, ...]
    reference: tuple[str, ...]
    """Texts that the task is compared with."""
    pooling: Pooling
    sinks: Sinks
    by_class: bool
    """Whether classes are told apart: then each must have a token that counts."""
    answered: Callable[[], Sequence[Row]] | None = None
    """Gives the prompts with their right answers as only branch; `None`: those of the questions."""
    most: int | None = None
    """Rows of `answered` at most."""
    progress: Progress = SILENT
    universal: Universal | None = None
    """The rule by which neurons are left out; `None`: all of them count."""

    @cached_property
    def settled_sinks(self) -> Sinks:
        """Whether position 0 counts: where prompts that are set beside others have nothing else, it
        does for all of them."""
        rows, labels = self._rows
        beside = [
            [row for row, label in zip(rows, labels, strict=True) if label == n] for n in (0, 1)
        ]
        groups = [group for group in beside if group] if self._apart else [rows]
        neutral = [] if self.examples.paired else [self.bench.rows(self.reference)]
        return settled_sinks(self.sinks, [*groups, *neutral])

    @cached_property
    def left_out(self) -> Mapping[int, tuple[int, ...]]:
        """Neurons that are not to be chosen, by layer."""
        return {} if self.universal is None else self.universal.found(self.bench, self.progress)

    @cached_property
    def task(self) -> ByLayer:
        """Mean activations on all prompts; of pairs on the positive ones."""
        return self.of_class(0) if self.examples.paired else self._together.means()

    @cached_property
    def push(self) -> ByLayer:
        """How far each neuron moves the stream: the root mean square of its activation on all
        prompts times the length of what it writes per unit."""
        return {
            layer: strength * column_norms(self.bench.sites, layer)
            for layer, strength in self._together.root_mean_squares().items()
        }

    def of_class(self, label: int) -> ByLayer:
        """Mean activations on the prompts whose right answer is `label`."""
        if label not in self._class_means:
            raise no_prompts(self.examples.of_label(label))
        return self._class_means[label]

    @cached_property
    def neutral(self) -> ByLayer:
        """Mean activations on the texts that the task is compared with; of pairs on the negative
        prompts."""
        if self.examples.paired:
            return self.of_class(1)
        return reference_means(
            self.bench, self.reference, self.layers,
            pooling=self.pooling, sinks=self.settled_sinks, progress=self.progress,
        )  # fmt: skip

    @cached_property
    def attribution(self) -> ByLayer:
        """Mean attribution over items with their right answers."""
        return attribution_scores(
            self.bench.model, self.bench.sites, self._answered("attribution"), layers=self.layers,
            sinks=self.settled_sinks, progress=self.progress,
        )  # fmt: skip

    @cached_property
    def gradient(self) -> ByLayer:
        """Mean slope of right answers' log-odds by each neuron's multiplier."""
        questions = self.examples.questions
        items = [self.bench.choice_rows(question) for question in questions] or [
            [row] for row in self._answered("gradient")
        ]
        return gradient_scores(
            self.bench.model, self.bench.sites, items, layers=self.layers, progress=self.progress
        )

    def _answered(self, ranking: str) -> Sequence[Row]:
        if self.answered is None and not self.examples.questions:
            raise InputError(
                "select.method", expected=f"a task scored by log-likelihood for `{ranking}`",
                got="development items without right answers", hint="use `differential`",
            )  # fmt: skip
        if self.answered is None:
            return [self.bench.answered_row(question) for question in self.examples.questions]
        rows = self.answered()
        return rows if self.most is None else spread_over(rows, self.most)

    @property
    def _apart(self) -> bool:
        """Whether prompts of two kinds are summed apart."""
        return self.by_class or self.examples.paired

    @cached_property
    def _rows(self) -> tuple[list[TokenRow], list[int]]:
        return self.bench.task_rows(self.examples)

    @property
    def _together(self) -> Sums:
        first, *others = self._sums.values()
        return sum(others, first)

    @cached_property
    def _sums(self) -> dict[int, Sums]:
        """By label, from one pass over all prompts."""
        rows, labels = self._rows
        return summed_activations(
            self.bench.model, self.bench.sites, rows, labels if self._apart else [0] * len(rows),
            layers=self.layers, pooling=self.pooling, sinks=self.settled_sinks,
            progress=self.progress,
        )  # fmt: skip

    @cached_property
    def _class_means(self) -> dict[int, ByLayer]:
        return {label: sums.means() for label, sums in self._sums.items() if sums.tokens}
