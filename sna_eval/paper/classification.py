"""Section 6: SST-2, on the paper's 200 validation sentences.

As in the paper the grid and its best are of the same items, so gains are an upper end. Directions
that know the right answer are shown and never judged.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from sna_eval.paper.evidence import Labelled, ProtocolEvidence
from sna_eval.paper.rules import (
    Cell,
    Claim,
    ceiling,
    figure,
    judged,
    of_model,
    only_for,
    unjudged,
    within,
)
from sna_eval.study.summary import accuracy_changes

NEURONS = 10
ZONE_COUNTS = (66, 89, 45)
ZONE_ACCURACIES = (0.348, 0.753, 0.844)
ZERO_SHOT = 0.64
MULTIPLIER = 12.0
_CLOSE = 0.05  # of an accuracy, some 10 of 200 sentences


def classification(found: ProtocolEvidence) -> Iterator[Claim]:
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
    by_zone = _by_zone(accuracies)
    for claim in (
        Claim(
            "SST-2 zero-shot accuracy", "64 %", f"{whole:.1%}" if row else "not run",
            within([whole] if row else [], ZERO_SHOT - _CLOSE, ZERO_SHOT + _CLOSE),
        ),
        Claim(
            "SST-2: sentences in zones 1, 2, 3", ", ".join(map(str, ZONE_COUNTS)),
            ", ".join(map(str, counts)) or "not run",
            judged(counts, lambda measured: tuple(measured) == ZONE_COUNTS),
        ),
        Claim(
            "SST-2: accuracy before, zones 1, 2, 3",
            ", ".join(f"{value:.1%}" for value in ZONE_ACCURACIES),
            by_zone, judged(accuracies, lambda measured: _alike(measured, ZONE_ACCURACIES)),
        ),
    ):  # fmt: skip
        yield only_for(of_model(claim), medium)
    rising = Claim(  # of the unmodified model, whose confidence the zones are made of
        "SST-2: accuracy rises with the zone", "34.8 %, 75.3 %, 84.4 %", by_zone,
        judged(accuracies, lambda measured: all(a < b for a, b in pairwise(measured))),
    )  # fmt: skip
    yield of_model(unjudged(rising))


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
    measured = f"{max(shared)}" if shared else "not run"
    # two ends of one order are disjoint by construction
    yield unjudged(
        Claim("neurons shared, positive against negative", "0", measured, ceiling(shared, 0))
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
    helped = [layer for layer, gains in layers.items() if np.mean(gains) > 0]
    empty = "no item" if rows else "not run"
    yield Claim(
        "SST-2, zone 1: layers that improve it on average",
        "one (21 of 24)",
        ", ".join(map(str, helped)) or ("none" if changes else empty),
        judged([change for _, _, change in changes], lambda measured: len(helped) == 1),
    )
    best = max(changes, key=lambda entry: entry[2], default=None)
    gained = best is not None and best[2] > 0
    at_best = sorted({entry[1] for entry in changes if best is not None and entry[2] == best[2]})
    yield Claim(
        "SST-2, zone 1: multiplier of the largest gain",
        f"{MULTIPLIER:g}",
        ", ".join(f"{multiplier:g}" for multiplier in at_best)
        if gained
        else ("no gain" if changes else empty),
        judged(at_best if gained else [], lambda measured: MULTIPLIER in measured),
    )
    smallest = min((entry[1] for entry in changes), default=0.0)
    early = max((entry[2] for entry in changes if entry[1] == smallest), default=0.0)
    yield Claim(
        "SST-2, zone 1: flat at low multipliers, then steep",
        "flat, then steep",
        f"{early * 100:+.1f} points at x{smallest:g}, {best[2] * 100:+.1f} at best"
        if best
        else empty,
        judged(
            [early, best[2]] if gained and best else [],
            lambda measured: measured[0] <= measured[1] / 4,
        ),
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
    empty = "no item" if rows else "not run"
    yield Claim(
        "SST-2, zone 1: gain of accuracy up to",
        "59.1 points (57.3 in the abstract)",
        f"{gain:+.1f} points{oracle}" if first else empty,
        figure(gain, 59.1),
    )
    moved = [abs(change) for change in third]
    yield Claim(
        "SST-2, zone 3: change of accuracy, by any configuration",
        "0.0 points",
        f"up to {max(moved):.1f} points, {len(moved)} configurations" if moved else empty,
        ceiling(moved, 0.0),
    )


def _overlaps_apart(table: pa.Table) -> list[float]:
    """One layer each, with the paper's count of neurons or the nearest."""
    counts = set(table.column("n_neurons").to_pylist())
    count = min(counts, key=lambda count: abs(count - NEURONS), default=0)
    by_layer = {
        row["layer"]: json.loads(row["found"])["one_vs_neutral_overlap"]
        for row in table.select(["layer", "n_neurons", "found"]).to_pylist()
        if row["n_neurons"] == count and "one_vs_neutral_overlap" in row["found"]
    }
    return list(by_layer.values())


def _shared(neurons: pa.Table) -> list[int]:
    """Neurons that both labels have among their first ten, one layer each."""
    sets: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in neurons.to_pylist():
        if row["rank"] <= NEURONS:
            sets[row["layer"]][row["label"]].add(row["neuron"])
    return [
        len(set.intersection(*by_label.values())) for by_label in sets.values() if len(by_label) > 1
    ]


def _alike(values: Sequence[float], published: Sequence[float]) -> bool:
    pairs = zip(values, published, strict=True)
    return all(abs(value - expected) <= _CLOSE for value, expected in pairs)


def _by_zone(accuracies: Sequence[Cell]) -> str:
    """The zones' accuracies, and which of them have nothing to be right about."""
    shown = ("-" if value is None else f"{value:.1%}" for value in accuracies)
    empty = [str(zone) for zone, value in enumerate(accuracies, 1) if value is None]
    reason = f" (no item in zone {', '.join(empty)})" if empty else ""
    return ", ".join(shown) + reason if accuracies else "not run"
