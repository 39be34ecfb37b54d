"""The rules by which published figures are called confirmed, by hand."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sna_eval.study.statistics import Interval
from sna_eval.study.summary import Decomposition, Share, summarise
from sna_eval.study.sweep import SweepStore

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from paper.claims import as_markdown, ceiling, claims, figure


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (27.85, "confirmed"),
        (14.0, "confirmed"),
        (13.9, "not confirmed"),
        (-27.85, "not confirmed"),
        (float("nan"), "not tested"),
    ],
)
def test_a_figure_needs_its_sign_and_half_its_size(value: float, verdict: str) -> None:
    assert figure(value, 27.85) == verdict


def test_a_ceiling_holds_for_all() -> None:
    assert ceiling([1.0, 7.9], 8) == "confirmed"
    assert ceiling([1.0, 8.1], 8) == "not confirmed"
    assert ceiling([], 8) == "not tested"


def test_what_was_not_run_is_not_tested(store: SweepStore) -> None:
    """A model of three layers, none of the paper's tasks, no interference, no SST-2."""
    found = {own.statement: own for own in claims(summarise(store, draws=50), 3, None, None)}
    for statement, own in found.items():
        if any(word in statement for word in ("layer", "SST-2", "amplifying", "share")):
            assert own.verdict == "not tested", statement
    assert found["tasks in zone 2"].published == "0"


def test_a_share_must_be_more_than_chance(store: SweepStore) -> None:
    shares = (
        Share("baseline", 0.5, Interval(0.3, 0.7), 0.09),
        Share("localization", 0.2, Interval(0.1, 0.4), 0.25),
        Share("task type", 0.5, Interval(0.3, 0.7), 0.27),
    )
    summary = replace(summarise(store, draws=50), factors=Decomposition(shares, 0.0, 12, 5))
    found = {own.statement: own.verdict for own in claims(summary, 3, None, None)}
    assert found["share of rank variance: baseline"] == "confirmed"
    assert found["share of rank variance: localization"] == "not confirmed"  # no more than chance
    assert found["share of rank variance: task type"] == "not confirmed"  # 14 % lies outside


def test_response_curves_are_judged_without_the_oracle(store: SweepStore) -> None:
    summary = summarise(store, draws=50)
    curve = next(own for own in summary.curves if own.task == "own_labels")
    curves = (
        replace(curve, zone=1, points=(0.0, 40.0)),
        replace(curve, zone=1, points=(0.0, 90.0), oracle=True),
        replace(curve, zone=3, points=(0.0, 0.0)),
    )
    found = claims(summary, 3, replace(summary, curves=curves), None)
    first, second = found[-2:]
    assert (first.measured, first.verdict) == ("+40.0", "confirmed")
    assert second.verdict == "confirmed"
    table = as_markdown(found).splitlines()
    assert len(table) == len(found) + 2
    assert "| 59.1 points | +40.0 | confirmed |" in table[-2]
