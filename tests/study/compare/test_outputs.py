"""What a comparison is written down as: read back, and beside lm_eval's own table."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from sna_eval.study.compare import (
    Comparison,
    Options,
    as_csv,
    as_json,
    as_markdown,
    as_side_by_side,
    as_text,
    compare,
    read_run,
)
from sna_eval.study.compare.formatting import at_most, number, probability, signed


@pytest.fixture(scope="module")
def comparison(plain_run: Path, amplified_run: Path) -> Comparison:
    return compare(read_run(plain_run), read_run(amplified_run), Options(draws=300))


@pytest.fixture(scope="module")
def forced(shared_data: Path) -> Comparison:
    folder = shared_data / "leaderboard"
    runs = [read_run(folder / f"pythia-70m-step143000-{n}shot.json") for n in (0, 5)]
    return compare(*runs, Options(force=True, tasks=("piqa", "wsc")))


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_json_reads_back(comparison: Comparison) -> None:
    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is no JSON")

    content = json.loads(as_json([comparison]), parse_constant=refuse)
    (comparison_read,) = content["comparisons"]
    assert len(comparison_read["rows"]) == len(comparison.rows)
    for written, row in zip(comparison_read["rows"], comparison.rows, strict=True):
        assert written["p"] == row.effect.p
        assert written["low"] == row.effect.interval.low
        assert written["difference"] == row.effect.difference
        assert len(written["zones"]) == len(row.zones)
    group = next(row for row in comparison_read["rows"] if row["group"])
    assert group["p_holm"] is None
    assert comparison_read["b"]["plan_fingerprint"] == comparison.b.plan
    assert comparison_read["forced"] is False


def test_csv_reads_back(comparison: Comparison, forced: Comparison) -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv([comparison, forced]))))
    assert len(lines) == len(comparison.rows) + len(forced.rows)
    for line, row in zip(lines, [*comparison.rows, *forced.rows], strict=True):
        assert line["task"] == row.task
        assert float(line["p"]) == row.effect.p
        assert line["n"] == ("" if row.effect.n is None else str(row.effect.n))
        assert line["forced"] == str(row.forced)
    assert {line["p_holm"] for line in lines if line["group"] == "True"} == {""}


def test_markdown_table(comparison: Comparison) -> None:
    rows = table_rows(as_markdown([comparison]))
    header, body = rows[0], rows[1 : 1 + len(comparison.rows)]
    assert header[:4] == ["task", "metric", "n", "A"]
    for cells, row in zip(body, comparison.rows, strict=True):
        assert cells[0].removesuffix(" (group)") == row.task
        assert cells[2] == str(row.effect.n)
        assert cells[header.index("test")] == row.effect.test


def test_text_says_which_runs(comparison: Comparison) -> None:
    text = as_text([comparison])
    assert f"A: hf {comparison.a.model} ({comparison.a.path.name})" in text
    assert f"plan {comparison.b.plan}" in text
    assert "NOT COMPARABLE" not in text


@pytest.mark.parametrize("write", [as_text, as_markdown, as_side_by_side])
def test_forced_tables_are_marked(write: Any, forced: Comparison) -> None:
    text = write([forced])
    assert "NOT COMPARABLE, forced" in text
    assert "shots: 0 against 5 (wsc, piqa)" in text
    assert text.count("! piqa") >= 1
    assert "unpaired z" in text


def test_unpaired_is_explained(forced: Comparison) -> None:
    assert "from standard errors alone" in as_text([forced])
    assert "only in A: 22 tasks: crows_pairs_english" in as_text([forced])


def test_side_by_side_equals_lm_evals_table(
    comparison: Comparison, plain_results: dict[str, Any]
) -> None:
    """Run A's columns are, cell by cell, what lm_eval prints of the same run."""
    from lm_eval.utils import make_table

    theirs: dict[tuple[str, str], list[str]] = {}
    task = ""
    for cells in table_rows(make_table(plain_results))[1:]:
        task = cells[0].lstrip("- ") or task
        theirs[task, cells[4]] = cells
    ours = table_rows(as_side_by_side([comparison]))
    assert ours[0][:6] == ["Tasks", "Version", "Filter", "n-shot", "Metric", ""]
    task, compared = "", 0
    for cells in ours[1:]:
        task = cells[0].removesuffix(" (group)") or task
        their = theirs[task, cells[4]]
        assert cells[2:6] == their[2:6]
        if float(their[6]) >= 0.001:  # smaller ones we show with their digits
            assert cells[6] == their[6] or float(cells[6]) == pytest.approx(float(their[6]), 1e-4)
            compared += 1
    assert compared >= 3


def test_several_comparisons(comparison: Comparison) -> None:
    both = [comparison, comparison]
    assert len(json.loads(as_json(both))["comparisons"]) == 2
    assert as_text(both).count("A: hf") == 2
    assert as_side_by_side(both).count("A: hf") == 2


@pytest.mark.parametrize(
    ("oracle", "mark", "other"),
    [
        (True, "(oracle)", "(descriptive: gate sees the answer)"),
        (False, "(descriptive: gate sees the answer)", "(oracle)"),
    ],
)
def test_what_sees_the_answer_is_marked(
    comparison: Comparison, oracle: bool, mark: str, other: str
) -> None:
    """An oracle's direction follows it; a gate on `target_prob` is something else."""
    from dataclasses import replace

    row = replace(comparison.rows[0], oracle=oracle, sees_answer=True)
    marked = replace(comparison, rows=(row,))
    for shown in (as_text([marked]), as_side_by_side([marked])):
        assert f"{row.task} {mark}" in shown
        assert other not in shown
    (exported,) = json.loads(as_json([marked]))["comparisons"][0]["rows"]
    assert (exported["oracle"], exported["sees_answer"]) == (oracle, True)
    (line,) = csv.DictReader(io.StringIO(as_csv([marked])))
    assert (line["oracle"], line["sees_answer"]) == (str(oracle), "True")


def test_numbers() -> None:
    assert [number(v) for v in (0.0, 0.25, 0.00012, 1234.5678, float("nan"), None)] == [
        "0.0000", "0.2500", "1.20e-04", "1234.6", "-", "-",
    ]  # fmt: skip
    assert [signed(v) for v in (0.01, -0.01, float("nan"))] == ["+0.0100", "-0.0100", "-"]
    assert [probability(p) for p in (1.0, 0.04999, 0.00001)] == ["1.0000", "0.0500", "<0.0001"]


@pytest.mark.parametrize(
    ("bound", "shown"),
    [
        (0.00155, "0.2%"),
        (0.0638, "6.4%"),
        (0.05, "5%"),
        (0.0501, "5.1%"),
        (1.0, "100%"),
        (0.0, "0%"),
    ],
)
def test_an_upper_bound_is_rounded_up(bound: float, shown: str) -> None:
    assert at_most(bound) == shown


def test_an_interval_is_headed_by_its_confidence(plain_run: Path) -> None:
    run = read_run(plain_run)
    options = Options(confidence=0.999, draws=100, tasks=("own_choices",))
    assert "99.9% interval" in as_text([compare(run, run, options)])
