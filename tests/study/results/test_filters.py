"""An item is a document under one filter, wherever samples are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sna_eval.app.core.runs import ResultFolder, open_folder
from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.loading import load_lm, load_tasks
from sna_eval.plan import PlannedIntervention, TaskPlan
from sna_eval.study.methods.evaluating import evaluate
from sna_eval.study.results.zone_table import format_rows, zone_rows
from sna_eval.study.summary import gated_gains
from tests.hostile.loaders.base import TASK
from tests.hostile.loaders.runs import RESULTS, RUN, SAMPLES, sample
from tests.study.results.conftest import FILTERS, ITEMS


def test_the_table_of_zones_has_a_row_of_each(filtered_run: Path) -> None:
    rows = [row for row in zone_rows(filtered_run.parent) if row.zone == "all"]
    expected = [(name, one, ITEMS) for name, filters in FILTERS.items() for one in filters]
    assert [(row.task, row.filter, row.n_items) for row in rows] == expected
    assert "two_filters (again)" in format_rows(rows)


def test_the_comparison_has_a_row_of_each(filtered_run: Path, capsys: Any) -> None:
    assert main(["compare", str(filtered_run), "--draws", "100", "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    rows = {(row["task"], row["filter"], row["n"]) for row in found["rows"]}
    assert rows == {(name, one, ITEMS) for name, filters in FILTERS.items() for one in filters}


def test_methods_count_a_document_once(filtered_tasks: Path) -> None:
    """With two filters, n was twice the documents, and intervals were too narrow."""
    lm = load_lm("pretrained=sna-reference", gate="never")
    tasks = load_tasks(list(FILTERS), include_path=str(filtered_tasks))
    neurons = {"all": (1, 5, 7)}
    plan = TaskPlan(Gate(mode="always"), (PlannedIntervention(4, 6.0, neurons=neurons),))
    one, two = (evaluate(lm, name, tasks[name], plan, limit=None) for name in FILTERS)
    assert len(one.before) == ITEMS
    assert (one.before, one.after, one.zones) == (two.before, two.after, two.zones)


@pytest.fixture
def chosen_run(tmp_path: Path) -> Path:
    """A run of a chosen plan, with samples under two filters; under `last` nothing changed."""
    raw = json.loads(json.dumps(RESULTS))
    raw["results"][TASK] = {"prob,first": 0.3, "baseline_prob,first": 0.2,
                            "prob,last": 0.2, "baseline_prob,last": 0.2}  # fmt: skip
    lines = []
    for number in range(3):
        written = sample(number)
        lines.append({**written, "filter": "first"})
        lines.append(
            {**written, "filter": "last", "prob": written["baseline_prob"], "decision": 0.0}
        )
    (tmp_path / RUN).write_text(json.dumps(raw))
    (tmp_path / SAMPLES).write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def test_gains_behind_a_gate_are_of_one_filter(chosen_run: Path) -> None:
    """A task without a filter named `none` was refused as one that nothing was chosen for."""
    first, last = gated_gains(chosen_run, draws=20)
    assert (first.measure, first.n_test) == ("prob (first)", 3)
    assert first.test == pytest.approx(0.1)
    assert (last.measure, last.test) == ("prob (last)", 0)


def test_the_app_tells_items_of_two_filters_apart(chosen_run: Path) -> None:
    found = open_folder(str(chosen_run))
    assert isinstance(found, ResultFolder)
    names = [f"{TASK} (first)", f"{TASK} (last)"]
    assert [item.task for item in found.items] == 3 * names
    assert [row.label for row in found.rows if row.zone == "all"] == names
    assert [item.amplified for item in found.items] == 3 * [True, False]


def test_items_that_a_plan_leaves_alone_have_no_zone(chosen_run: Path) -> None:
    lines = [{**sample(n), "acc": 1.0, "baseline_acc": 1.0, "zone": None} for n in range(3)]
    (chosen_run / SAMPLES).write_text("\n".join(map(json.dumps, lines)))
    (row,) = zone_rows(chosen_run)
    assert (row.zone, row.n_items) == ("all", 3)
    found = open_folder(str(chosen_run))
    assert isinstance(found, ResultFolder)
    assert found.items == ()


def test_any_outcome_of_both_models_is_shown(tmp_path: Path) -> None:
    """Of a task that is not bundled; what the two models answered is no outcome."""
    lines = [
        {"doc_id": n, "filter": "strict-match", "resps": [], "baseline_resps": [], "zone": 2.0,
         "exact_match": 1.0, "baseline_exact_match": 0.0, "bleu": [1, 2], "baseline_bleu": [1, 2]}
        for n in range(4)
    ]  # fmt: skip
    (tmp_path / "samples_own_2026-01-01.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = zone_rows(tmp_path)
    assert [(row.zone, row.measure, row.n_items, row.change) for row in rows] == [
        ("all", "exact_match", 4, 1.0), ("2", "exact_match", 4, 1.0),
    ]  # fmt: skip
    assert "own (strict-match)" in format_rows(rows)


def test_items_that_a_metric_says_nothing_of(tmp_path: Path) -> None:
    """A task may score each item by a metric of its kind: `None` elsewhere ended the table."""
    lines = [
        {"doc_id": n, "filter": "none", "zone": 1.0, "first": None if n % 2 else 0.5,
         "baseline_first": None if n % 2 else 0.25, "second": None, "baseline_second": None}
        for n in (1, 2, 3, 4)
    ]  # fmt: skip
    (tmp_path / "samples_own_2026-01-01.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = zone_rows(tmp_path)
    assert [(row.zone, row.measure, row.n_items, row.change) for row in rows] == [
        ("all", "first", 2, 0.25), ("1", "first", 2, 0.25),
    ]  # fmt: skip
    lines[1]["first"] = "much"
    (tmp_path / "samples_own_2026-01-01.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(InputError, match="expected scores and a zone for first"):
        zone_rows(tmp_path)
