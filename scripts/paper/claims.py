"""Published figures of Akhtar (2026), arXiv:2604.07098, beside measured ones.

Verdicts follow rules that are fixed beforehand, one for each kind of statement:

- a figure: confirmed where the measured one has its sign and at least half its size;
- a ceiling: confirmed where nothing measured lies above it;
- a correlation: confirmed where its whole 95 % interval has the published sign, *and* it is further
  out than its null, which keeps the shared denominator, with p < 0.05;
- a share: confirmed where its 95 % interval holds the published one and random rankings give less
  than was measured.

What needs another model, or items that were not run, is `not tested`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from sna_eval.study.interference import Interference
from sna_eval.study.summary import AcrossTasks, Summary, TaskSummary, accuracy_changes, task_type

Verdict = Literal["confirmed", "not confirmed", "not tested"]

PAPER_LAYERS = {"sna_math": 8, "sna_logic": 10, "sna_poetry": 21, "sna_coding": 22}
PAPER_DEPTH = 24
CORRELATIONS = {"spearman": -0.762, "pearson": -0.503}
SHARES = {"baseline": 0.58, "localization": 0.28, "task type": 0.14}


@dataclass(frozen=True)
class Claim:
    """One published figure."""

    statement: str
    published: str
    measured: str
    verdict: Verdict


def claims(
    summary: Summary, n_layers: int, sst2: pa.Table | None, measured: Interference | None
) -> list[Claim]:
    """All of them, in the paper's order.

    **Arguments:**

    - `sst2`: a store's configurations of `sna_sst2`; `None` where it was not run.
    """
    return [
        *_correlations(summary.across),
        *_zones(summary),
        *_shares(summary),
        *_layers(summary.tasks, n_layers),
        *_interference(measured),
        *_classification(sst2),
    ]


def figure(value: float, published: float) -> Verdict:
    """Same sign, at least half the size; not tested where there is none."""
    if np.isnan(value):
        return "not tested"
    return _said(value * published > 0 and abs(value) >= abs(published) / 2)


def ceiling(values: Sequence[float], published: float) -> Verdict:
    """Nothing above it; not tested without values."""
    return _said(max(values) <= published) if values else "not tested"


def as_markdown(found: Sequence[Claim]) -> str:
    """A table."""
    head = "| statement | published | measured | verdict |\n| --- | --- | --- | --- |\n"
    rows = (f"| {c.statement} | {c.published} | {c.measured} | {c.verdict} |" for c in found)
    return head + "\n".join(rows) + "\n"


def _said(holds: bool) -> Verdict:
    return "confirmed" if holds else "not confirmed"


def _correlations(across: Sequence[AcrossTasks]) -> Iterator[Claim]:
    for kind, published in CORRELATIONS.items():
        own = next((a.result for a in across if (a.kind, a.outcome) == (kind, "best")), None)
        statement = f"{kind} correlation of baseline and improvement"
        if own is None:
            yield Claim(statement, f"{published:+.3f}", "too few tasks", "not tested")
            continue
        value, ends = own.improvement.coefficient, own.improvement.interval
        yield Claim(
            statement,
            f"{published:+.3f}",
            f"{value:+.3f} ({ends.low:+.3f} to {ends.high:+.3f}), p against its null {own.p:.3f}, "
            f"absolute change {own.absolute.coefficient:+.3f}",
            _said(ends.high < 0 and own.p < 0.05 and value < own.null_mean),
        )


def _zones(summary: Summary) -> Iterator[Claim]:
    first, second, third = summary.zones
    mean, largest = first.mean_improvement, first.largest_improvement
    yield Claim("mean improvement in zone 1", "27.85 %", f"{mean:.2f} %", figure(mean, 27.85))
    yield Claim(
        "largest improvement in zone 1", "70.3 %", f"{largest:.1f} %", figure(largest, 70.3)
    )
    best = [own.best_improvement for own in summary.tasks if own.zone == 3]
    yield Claim(
        "improvement in zone 3 stays below 8 %",
        "8 %",
        f"up to {max(best):.1f} %" if best else "no task",
        ceiling(best, 8.0),
    )
    count = len(second.tasks)
    yield Claim("tasks in zone 2", "0", str(count), _said(count == 0))
    assert third.zone == 3


def _shares(summary: Summary) -> Iterator[Claim]:
    found = {own.factor: own for own in summary.factors.shares} if summary.factors else {}
    for name, published in SHARES.items():
        own = found.get(name)
        statement = f"share of rank variance: {name}"
        if own is None:
            yield Claim(statement, f"{published:.0%}", "too few tasks", "not tested")
            continue
        yield Claim(
            statement,
            f"{published:.0%}",
            f"{own.share:.0%} ({own.interval.low:.0%} to {own.interval.high:.0%}), "
            f"by chance {own.by_chance:.0%}",
            _said(published in own.interval and own.share > own.by_chance),
        )


def _layers(tasks: Sequence[TaskSummary], n_layers: int) -> Iterator[Claim]:
    for kind, layer in PAPER_LAYERS.items():
        best = [own.best_layer for own in tasks if task_type(own.task) == kind]
        shown = ", ".join(map(str, best)) or "not run"
        name = kind.removeprefix("sna_")
        same_model = n_layers == PAPER_DEPTH and best
        yield Claim(
            f"best layer of {name}, of {PAPER_DEPTH}",
            str(layer),
            f"{shown} of {n_layers}",
            _said(set(best) == {layer}) if same_model else "not tested",
        )
        yield Claim(
            f"{name}: difficulty does not shift the best layer",
            "one layer",
            shown,
            _said(len(set(best)) == 1) if len(best) > 1 else "not tested",
        )


def _interference(measured: Interference | None) -> Iterator[Claim]:
    on_poetry = _between(measured, "sna_math", "sna_poetry")
    on_math = _between(measured, "sna_poetry", "sna_math")
    yield Claim(
        "amplifying arithmetic costs poetry",
        "-8 to -12 points",
        f"{on_poetry:+.2f} % of P(target)",
        figure(on_poetry, -8.0),
    )
    yield Claim(
        "amplifying poetry leaves arithmetic alone",
        "no meaningful change",
        f"{on_math:+.2f} % of P(target)",
        ceiling([] if np.isnan(on_math) else [abs(on_math)], 1.0),
    )


def _between(measured: Interference | None, first: str, second: str) -> float:
    """Mean change in percent over all pairs of tasks of two types; NaN without any."""
    effects = measured.effects if measured is not None else ()
    found = [
        own.percent
        for own in effects
        if task_type(own.intervention) == first and task_type(own.subject) == second
    ]
    return float(np.mean(found)) if found else float("nan")


def _classification(sst2: pa.Table | None) -> Iterator[Claim]:
    first, third = (() if sst2 is None else accuracy_changes(sst2, zone) for zone in (1, 3))
    gain = max(first, default=float("nan"))
    yield Claim(
        "SST-2, zone 1: gain of accuracy up to",
        "59.1 points",
        f"{gain:+.1f} points" if first else "no item",
        figure(gain, 59.1),
    )
    moved = [abs(change) for change in third]
    yield Claim(
        "SST-2, zone 3: change of accuracy, by any configuration",
        "0.0 points",
        f"up to {max(moved):.1f} points, {len(moved)} configurations" if moved else "no item",
        ceiling(moved, 0.0),
    )
