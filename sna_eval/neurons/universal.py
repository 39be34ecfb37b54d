"""Neurons that are among the most active whatever a prompt says: they belong to no task.

Contrastive neuron attribution (Herring et al. 2026, arXiv:2605.12290) leaves out neurons that are
in the top 0.1 % on 80 % of diverse prompts. Here: on each of some unrelated prompts, the `share`
largest `|activation|` at its last token, of the neurons of all layers together; a neuron that is
among them on at least 80 % of the prompts is universal. (The authors' program takes the 20 largest
of each layer, on ten prompts.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any

import torch

from sna_eval.cache import digest, prompt_fingerprint
from sna_eval.errors import InputError, reading
from sna_eval.files import LARGEST_FILE, expanded, read_text, unrelated_prompts_path
from sna_eval.intervention.amplify import whole_layer
from sna_eval.intervention.decoder import in_float64
from sna_eval.intervention.partial_passes import run_to
from sna_eval.intervention.rows import right_padded
from sna_eval.neurons.bench import Workbench
from sna_eval.neurons.statistics import SILENT, Progress, batches, tokens_at_once

SHARE = 0.001
"""The fraction of a model's neurons that counts as its top, where nothing else is asked."""
OF_PROMPTS = 0.8
"""The fraction of unrelated prompts on which a universal neuron is in the top, at least."""
_LISTED = 100  # neurons that a record lists one by one

Places = Mapping[int, tuple[int, ...]]
"""Neurons by layer, lowest index first; layers without any are left out."""


@dataclass(frozen=True)
class Universal:
    """The rule by which universal neurons are told."""

    share: float = SHARE
    """Of all neurons of the model, that is a prompt's top."""
    prompts: str | None = None
    """File of unrelated prompts, one a line; `None`: the bundled ones."""

    def texts(self) -> tuple[str, ...]:
        """The unrelated prompts.

        **Raises:** `InputError` for a file that cannot be read, or holds none.
        """
        return _bundled() if self.prompts is None else _read(self.prompts)

    def found(self, bench: Workbench, progress: Progress = SILENT) -> Places:
        """The universal neurons of a model, looked for once."""
        texts = self.texts()
        name = digest([self.share, list(texts), bench.sites.unit])
        if name not in bench.universal:
            progress.expect(len(texts))
            bench.universal[name] = universal_neurons(
                bench, texts, share=self.share, progress=progress
            )
        return bench.universal[name]

    def record(self) -> dict[str, Any]:
        """The rule, as a plan file says it."""
        texts = self.texts()
        return {
            "share": self.share,
            "of_prompts": OF_PROMPTS,
            "prompts": "bundled" if self.prompts is None else expanded(self.prompts).name,
            "prompt_hash": prompt_fingerprint(texts),
            "n_prompts": len(texts),
        }

    def said(self, places: Places) -> dict[str, Any]:
        """The rule and what it left out: the neurons by layer, or their number and hash where they
        are many."""
        dropped = {str(layer): list(neurons) for layer, neurons in places.items()}
        count = sum(map(len, dropped.values()))
        listed = {"dropped": dropped} if count <= _LISTED else {"dropped_hash": digest(dropped)}
        return {**self.record(), "n_dropped": count, **listed}


def universal_neurons(
    bench: Workbench, texts: Sequence[str], *, share: float, progress: Progress = SILENT
) -> Places:
    """Neurons, or heads, that are in the top of most texts.

    **Arguments:**

    - `texts`: unrelated prompts, none empty.
    - `share`: of the units of all layers, that is a text's top; one at least.
    """
    sites, rows = bench.sites, bench.rows(texts)
    top = counted(share, sites.n_units * len(sites.layers))
    counts: Counter[tuple[int, int]] = Counter()
    for places in batches(rows, tokens_at_once(bench.device)):
        batch = [rows[place] for place in places]
        last = torch.tensor([len(row) - 1 for row in batch])
        width = max(map(len, batch))
        seen: dict[int, torch.Tensor] = {}

        def see(
            layer: int,
            activations: torch.Tensor,
            last: torch.Tensor = last,
            width: int = width,
            seen: dict[int, torch.Tensor] = seen,
        ) -> None:
            by_row = activations.reshape(len(last), width, -1)
            of_last = by_row[torch.arange(len(last)), last.to(by_row.device)]
            strengths = in_float64(sites.strengths(of_last)).abs()
            seen[layer] = whole_layer(sites.projections[layer], strengths, sites.channels).cpu()

        run_to(bench.model, sites, sites.layers, right_padded(batch).to(bench.device), see)
        together = torch.cat([seen[layer] for layer in sites.layers], dim=-1)  # [row, all units]
        for row in together:
            order = torch.argsort(row, descending=True, stable=True)[:top].tolist()
            counts.update((sites.layers[n // sites.n_units], n % sites.n_units) for n in order)
        progress.read(len(batch))
    least = ceil(OF_PROMPTS * len(rows) - 1e-9)
    found = sorted(place for place, count in counts.items() if count >= least)
    return {
        layer: tuple(neuron for place, neuron in found if place == layer)
        for layer in dict.fromkeys(layer for layer, _ in found)
    }


def counted(share: float, neurons: int) -> int:
    """How many neurons a fraction of them is: rounded, and one at least."""
    return max(1, round(share * neurons))


@cache
def _bundled() -> tuple[str, ...]:
    """Prompts of many kinds, written for this project."""
    return _lines(unrelated_prompts_path().read_text(encoding="utf-8"))


def _read(path: str) -> tuple[str, ...]:
    field = "select.unrelated_prompts"
    with reading(field, expected="a file of prompts, one a line", got=path, hint="check the path"):
        texts = _lines(read_text(expanded(path), largest=LARGEST_FILE))
    if not texts:
        raise InputError(field, expected="a file of prompts, one a line", got=f"{path}, empty")
    return texts


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())
