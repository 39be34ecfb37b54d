"""Section 6: SST-2, on the paper's 200 validation sentences.

As in the paper the grid and its best are of the same items, so gains are an upper end. Directions
that know the right answer are shown and never judged.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from paper.evidence import Evidence, Labelled
from paper.rules import Claim, ceiling, figure, only_for, said, within
from sna_eval.study.summary import accuracy_changes

NEURONS = 10
ZONE_COUNTS = (66, 89, 45)
ZONE_ACCURACIES = (0.348, 0.753, 0.844)
ZERO_SHOT = 0.64
MULTIPLIER = 12.0
_CLOSE = 0.05  # of an accuracy, some 10 of 200 sentences


def classification(found: Evidence) -> Iterator[Claim]:
    """Zones, gains, layers and multipliers of SST-2."""
    table = found.sst2.configurations if found.sst2 else None
    rows = [] if table is None else table.to_pylist()
    yield from _baseline(rows, medium=found.is_model("gpt2-medium"))
    yield from _sets(found.sst2)
    yield from _shape([row for row in rows if not row["oracle"]])
    yield from _gains(table, rows)


def _baseline(rows: Sequence[dict[str, Any]], *, medium: bool) -> Iterator[Claim]:
    """The unmodified model: the same in every row."""
    row = rows[0] if rows else None
    counts = [row[f"n_zone{zone}"] for zone in (1, 2, 3)] if row else []
    accuracies = [row[f"baseline_acc_zone{zone}"] for zone in (1, 2, 3)] if row else []
    whole = row["baseline_acc"] if row else float("nan")
    for claim in (
        Claim(
            "SST-2 zero-shot accuracy", "64 %", f"{whole:.1%}" if row else "not run",
            within([whole] if row else [], ZERO_SHOT - _CLOSE, ZERO_SHOT + _CLOSE),
        ),
        Claim(
            "SST-2: sentences in zones 1, 2, 3", ", ".join(map(str, ZONE_COUNTS)),
            ", ".join(map(str, counts)) or "not run", said(tuple(counts) == ZONE_COUNTS),
        ),
        Claim(
            "SST-2: accuracy before, zones 1, 2, 3",
            ", ".join(f"{value:.1%}" for value in ZONE_ACCURACIES),
            ", ".join(_percent(value) for value in accuracies) or "not run",
            said(_alike(accuracies, ZONE_ACCURACIES)),
        ),
    ):  # fmt: skip
        yield only_for(claim, medium)
    rising = [value for value in accuracies if value is not None]
    yield Claim(
        "SST-2: accuracy rises with the zone",
        "34.8 %, 75.3 %, 84.4 %",
        ", ".join(_percent(value) for value in accuracies) or "not run",
        said(rising == sorted(rising)) if len(rising) > 1 else "not tested",
    )


def _sets(sst2: Labelled | None) -> Iterator[Claim]:
    """Overlap of the two labels' neurons, by either way of choosing them."""
    apart = _overlaps_apart(sst2.configurations) if sst2 else []
    mean = float(np.mean(apart)) if apart else float("nan")
    yield Claim(
        "neurons of both sentiments shared, each against neutral text",
        "53 %",
        f"{mean:.0%}, {min(apart):.0%} to {max(apart):.0%} by layer" if apart else "not run",
        figure(mean, 0.53),
    )
    shared = _shared(sst2.neurons) if sst2 else []
    yield Claim(
        "neurons shared, positive against negative",
        "0",
        f"{max(shared)}" if shared else "not run",
        ceiling(shared, 0),
    )


def _shape(rows: Sequence[dict[str, Any]]) -> Iterator[Claim]:
    """Where in the grid zone 1 gains: one layer alone, and past a threshold."""
    changes = [
        (row["layer"], row["multiplier"], row["acc_zone1"] - row["baseline_acc_zone1"])
        for row in rows
        if row["acc_zone1"] is not None
    ]
    layers: dict[int, list[float]] = defaultdict(list)
    for layer, _, change in changes:
        layers[layer].append(change)
    helped = [layer for layer, own in layers.items() if np.mean(own) > 0]
    yield Claim(
        "SST-2, zone 1: layers that improve it on average",
        "one (21 of 24)",
        ", ".join(map(str, helped)) or ("none" if changes else "no item"),
        said(len(helped) == 1) if changes else "not tested",
    )
    best = max(changes, key=lambda own: own[2], default=None)
    gained = best is not None and best[2] > 0
    yield Claim(
        "SST-2, zone 1: multiplier of the largest gain",
        f"{MULTIPLIER:g}",
        f"{best[1]:g}" if gained and best else ("no gain" if changes else "no item"),
        said(best[1] == MULTIPLIER) if gained and best else "not tested",
    )
    smallest = min((own[1] for own in changes), default=0.0)
    early = max((own[2] for own in changes if own[1] == smallest), default=0.0)
    yield Claim(
        "SST-2, zone 1: flat at low multipliers, then steep",
        "flat, then steep",
        f"{early * 100:+.1f} points at x{smallest:g}, {best[2] * 100:+.1f} at best"
        if best
        else "no item",
        said(early <= best[2] / 4) if gained and best else "not tested",
    )


def _gains(table: pa.Table | None, rows: Sequence[dict[str, Any]]) -> Iterator[Claim]:
    first, third = (() if table is None else accuracy_changes(table, zone) for zone in (1, 3))
    gain = max(first, default=float("nan"))
    known = [
        (row["acc_zone1"] - row["baseline_acc_zone1"]) * 100
        for row in rows
        if row["oracle"] and row["acc_zone1"] is not None
    ]
    oracle = f"; {max(known):+.1f} for who knows the answer" if known else ""
    yield Claim(
        "SST-2, zone 1: gain of accuracy up to",
        "59.1 points",
        f"{gain:+.1f} points{oracle}" if first else "no item",
        figure(gain, 59.1),
    )
    moved = [abs(change) for change in third]
    yield Claim(
        "SST-2, zone 3: change of accuracy, by any configuration",
        "0.0 points",
        f"up to {max(moved):.1f} points, {len(moved)} configurations" if moved else "no item",
        ceiling(moved, 0.0),
    )


def _overlaps_apart(table: pa.Table) -> list[float]:
    """One layer each, with the paper's count of neurons or the nearest."""
    counts = set(table.column("n_neurons").to_pylist())
    count = min(counts, key=lambda own: abs(own - NEURONS), default=0)
    by_layer = {
        row["layer"]: json.loads(row["found"])["one_vs_neutral_overlap"]
        for row in table.select(["layer", "n_neurons", "found"]).to_pylist()
        if row["n_neurons"] == count
    }
    return list(by_layer.values())


def _shared(neurons: pa.Table) -> list[int]:
    """Neurons that both labels have among their first ten, one layer each."""
    sets: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in neurons.to_pylist():
        if row["rank"] <= NEURONS:
            sets[row["layer"]][row["label"]].add(row["neuron"])
    return [len(set.intersection(*own.values())) for own in sets.values()]


def _alike(values: Sequence[float | None], published: Sequence[float]) -> bool:
    return len(values) == len(published) and all(
        own is not None and abs(own - expected) <= _CLOSE
        for own, expected in zip(values, published, strict=True)
    )


def _percent(value: float | None) -> str:
    return "no item" if value is None else f"{value:.1%}"
