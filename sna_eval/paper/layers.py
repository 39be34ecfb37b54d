"""Sections 5.1 and 7.3: which layers tasks peak at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sna_eval.paper.evidence import ProtocolEvidence
from sna_eval.paper.rules import Claim, figure, judged, of_model, only_for, percent, within
from sna_eval.study.summary import task_type

LAYERS = {"sna_math": 8, "sna_logic": 10, "sna_poetry": 21, "sna_coding": 22}
MEANS = {"sna_logic": 6.8, "sna_coding": 3.2}


def layers(found: ProtocolEvidence) -> Iterator[Claim]:
    """Peaks of the mean over counts and multipliers, in GPT-2 Medium and in general."""
    medium = found.is_model("gpt2-medium")
    for kind, layer in LAYERS.items():
        best = [task.best_layer for task in found.tasks(kind)]
        shown = ", ".join(map(str, best)) or "not run"
        name = kind.removeprefix("sna_")
        peak = Claim(
            f"best layer of {name}, of 24", str(layer), f"{shown} of {found.n_layers}",
            within(best, layer, layer),
        )  # fmt: skip
        yield only_for(peak, medium)
        yield Claim(
            f"{name}: difficulty does not shift the best layer",
            "one layer",
            shown,
            judged(best if len(best) > 1 else [], lambda measured: len(set(measured)) == 1),
        )
    for kind, published in MEANS.items():
        gains = [task.best_layer_improvement for task in found.tasks(kind)]
        mean = float(np.mean(gains)) if gains else float("nan")
        name = kind.removeprefix("sna_")
        claim = Claim(
            f"mean improvement of {name} at its best layer", f"{published} %", percent(mean),
            figure(mean, published),
        )  # fmt: skip
        yield only_for(claim, medium)
    yield only_for(_layer_8(found), medium)


def pythia(found: ProtocolEvidence) -> Iterator[Claim]:
    """Arithmetic in Pythia-160M."""
    first_zone = [task for task in found.tasks("sna_math") if task.zone == 1]
    mean = (
        float(np.mean([task.mean_improvement for task in first_zone]))
        if first_zone
        else float("nan")
    )
    baselines = [task.baseline for task in first_zone]
    best = [task.best_layer for task in first_zone]
    for claim in (
        Claim(
            "Pythia-160M, arithmetic in zone 1: mean improvement", "178.98 %", percent(mean),
            figure(mean, 178.98),
        ),
        Claim(
            "Pythia-160M, arithmetic: baselines", "0.0002 to 0.0032",
            ", ".join(f"{value:.4f}" for value in baselines) or "not run",
            within(baselines, 0.0002, 0.0032),
        ),
        Claim(
            "Pythia-160M, arithmetic: best layer, of 12", "0",
            ", ".join(map(str, best)) or "not run", within(best, 0, 0),
        ),
    ):  # fmt: skip
        about = of_model(claim) if "baselines" in claim.statement else claim
        yield only_for(about, found.is_model("pythia-160m"))


def _layer_8(found: ProtocolEvidence) -> Claim:
    """Less than 1 % either way counts as almost nothing."""
    table = found.summary.layers
    rows = [n for n, t in enumerate(table.tasks) if task_type(t) in ("sna_poetry", "sna_coding")]
    place = table.layers.index(8) if 8 in table.layers else None
    changes = [] if place is None else [float(table.improvement[row, place]) for row in rows]
    return Claim(
        "layer 8 does almost nothing for poetry and coding",
        "almost no effect",
        ", ".join(f"{value:+.1f}" for value in changes) + " %" if changes else "not run",
        within(changes, -1.0, 1.0),
    )
