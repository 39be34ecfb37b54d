"""The rules by which published figures are called confirmed, by hand."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from sna_eval.study.statistics import Interval
from sna_eval.study.summary import Decomposition, Share, accuracy_changes, summarise
from sna_eval.study.sweep import CONFIGURATIONS, SweepStore

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


def test_classification_is_judged_on_every_configuration_but_the_oracle_s(
    store: SweepStore,
) -> None:
    empty = dict.fromkeys(CONFIGURATIONS.names)
    rows = [
        {**empty, "oracle": oracle, "baseline_acc_zone1": 0.25, "acc_zone1": after,
         "baseline_acc_zone3": 0.75, "acc_zone3": 0.75}
        for after, oracle in ((0.5, False), (0.625, False), (1.0, True))
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=CONFIGURATIONS)
    assert accuracy_changes(table, 1) == (25.0, 37.5)
    assert accuracy_changes(table, 2) == ()
    found = claims(summarise(store, draws=50), 3, table, None)
    first, second = found[-2:]
    assert (first.measured, first.verdict) == ("+37.5 points", "confirmed")
    assert (second.measured, second.verdict) == ("up to 0.0 points, 2 configurations", "confirmed")
    lines = as_markdown(found).splitlines()
    assert len(lines) == len(found) + 2
    assert "| 59.1 points | +37.5 points | confirmed |" in lines[-2]
