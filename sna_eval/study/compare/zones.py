"""The zone of every item, by the confidence of the unmodified model.

Where the run was gated, its own zones stand in the samples. Otherwise they are taken from the
answers of the run that is not amplified, the first if neither is: by the margin between the
choices, or by the probability of the one continuation, with the gate's bounds where it used that
signal, and else the paper's (Akhtar 2026, sections 4, 6).
"""

from __future__ import annotations

import math

from sna_eval.gating import AnswerSignal, ChoicesSignal, Gate, Zone, usual_signal
from sna_eval.study.results.records import Items


def derived_zones(items: Items, gate: Gate | None) -> list[Zone | None]:
    """Zones from the items' own log-likelihoods; `None` for items that have none."""
    compared = any(len(choices) > 1 for choices in items.choices)
    return [_from_choices(choices, gate, compared) for choices in items.choices]


def _from_choices(choices: tuple[float, ...], gate: Gate | None, compared: bool) -> Zone | None:
    if not choices or not all(map(math.isfinite, choices)):
        return None
    if compared and len(choices) == 1:
        return 3  # nothing to decide
    between, alone = usual_signal(ChoicesSignal), usual_signal(AnswerSignal)
    several = len(choices) > 1
    signal = between if several else alone
    if gate is None or gate.signal != signal.name:
        gate = Gate.by(signal)
    return gate.zone(between.measure(choices) if several else alone.measure(choices[0]))
