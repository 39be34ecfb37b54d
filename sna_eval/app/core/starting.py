"""What a first look at a model begins with: a setting and a question that fit it.

The bundled model has its plan's. Of another one nothing is known but its shape and what it makes of
a task's development items: the layer is the one in the middle, the neurons are the same share of a
layer's, a third and a half of the items lie below the boundaries, and the question is the item just
below the lower. A place to start from; it was chosen on no result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sna_eval.app.core.question import TypedQuestion, question_items
from sna_eval.app.core.setting import MOST_NEURONS
from sna_eval.files import REFERENCE_MODEL
from sna_eval.gating import Gate
from sna_eval.intervention import Sites
from sna_eval.measuring.items import rows_of
from sna_eval.measuring.subjects import Floats, Subject, log_likelihoods

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

_NAME = "first-look"
_SHARE = 25 / 768
"""Of a layer's neurons: the bundled model's."""


@dataclass(frozen=True)
class FirstLook:
    """Values of the controls."""

    layer: int
    count: int
    multiplier: float
    low: float
    high: float
    question: TypedQuestion


BUNDLED = FirstLook(4, 25, 2.4, Gate().low, Gate().high, TypedQuestion("Five plus five is", " ten"))
"""The bundled plan's setting for the first task, and an item of zone 1."""


def first_look(name: str, lm: SNALM, questions: Sequence[TypedQuestion]) -> FirstLook:
    """The values for a model.

    **Arguments:**

    - `name`: as the user named it.
    - `lm`: its `SNALM`.
    - `questions`: development items of the task that the first neurons are found on.
    """
    if name == REFERENCE_MODEL:
        return BUNDLED
    sites: Sites = lm.sites
    probs = _probabilities(lm, questions)
    low, high = (_rounded(float(np.quantile(probs, share))) for share in (1 / 3, 1 / 2))
    below = np.where(probs < low, probs, -1.0)
    return FirstLook(
        layer=sites.n_layers // 2,
        count=max(1, min(MOST_NEURONS, round(_SHARE * sites.d_mlp))),
        multiplier=BUNDLED.multiplier,
        low=low,
        high=max(low, high),
        question=questions[int(below.argmax())],
    )


def _probabilities(lm: SNALM, questions: Sequence[TypedQuestion]) -> Floats:
    """P(target) under the unmodified model, `[question]`."""
    items = question_items(lm, questions, task=_NAME)
    rows = rows_of(items, max_length=lm.max_length, packs=lm.engine.abilities.packs)
    found = log_likelihoods(lm.engine, Subject(_NAME, tuple(rows), items), [])[0]
    return np.exp(found[list(items.starts[:-1])])


def _rounded(value: float) -> float:
    """To two digits, as somebody would type it."""
    return float(f"{value:.2g}")
