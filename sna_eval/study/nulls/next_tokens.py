"""The next token behind some prompts: how far interventions move it, right answers or none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sna_eval.intervention import Intervention, Row
from sna_eval.intervention.rows import Tokens
from sna_eval.measuring.items import ItemRow
from sna_eval.measuring.moved import Moved
from sna_eval.measuring.neuron_sets import SetPasses
from sna_eval.measuring.readings import Divergence
from sna_eval.measuring.subjects import Together
from sna_eval.measuring.values import Floats


class NextTokens:
    """Mean `KL(base || changed)` of the next token; the unmodified model runs once.

    **Arguments:**

    - `rows`: prompts, longest first, each with one token as only branch: whichever it is, it is
        not looked at.
    """

    def __init__(self, rows: Sequence[ItemRow], passes: SetPasses) -> None:
        self._passes, self._count = passes, len(rows)
        self._groups = passes.groups(rows)
        self._divergence = Divergence()
        passes.baseline(self._groups, self._divergence.base, requests=self._count)

    @classmethod
    def behind(cls, prompts: Sequence[Tokens], passes: SetPasses) -> NextTokens:
        """Of prompts as they are."""
        rows = [
            ItemRow(Row(tuple(tokens), ((tokens[-1],),)), number, (number,))
            for number, tokens in enumerate(prompts)
        ]
        return cls(sorted(rows, key=lambda entry: -len(entry.row)), passes)

    def kls(self, sets: Sequence[Intervention], moved: Moved | None = None) -> Floats:
        """How far every set of neurons pushes, `[set]`, in nats."""
        found = self._passes.measure(
            self._groups, sets, self._divergence, requests=self._count, progress=moved
        )
        return _means(found)

    def kls_of(self, sets: Sequence[Together]) -> Floats:
        """The same for interventions of any kind, those of a set at once."""
        read, count = self._divergence, self._count
        return _means(self._passes.together(self._groups, sets, read, requests=count))


def _means(found: Floats) -> Floats:
    """Over prompts, of the divergences in `[set, prompt, value]`."""
    return np.asarray(found[..., 1].mean(axis=-1))
