"""A page from a real sweep: what it says is what the store says, and it needs nothing else."""

from __future__ import annotations

import base64
import re
import shlex
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sna_eval.cli import main, parser
from sna_eval.errors import InputError
from sna_eval.measuring.grid import Configuration
from sna_eval.plan import neurons_fingerprint
from sna_eval.reporting import tables
from sna_eval.reporting.colours import short
from sna_eval.reporting.figures import baseline, controls, grids, interference, layers, marks
from sna_eval.reporting.in_matplotlib import drawn
from sna_eval.reporting.numbers import p_value, percent, probability
from sna_eval.reporting.page import Section, page
from sna_eval.reporting.provenance import made_table, sweep_commands
from sna_eval.reporting.report import Report, ReportOptions, write_report
from sna_eval.reporting.style import as_svg
from sna_eval.reporting.tables import Table
from sna_eval.study.interference import (
    ALL,
    PLAIN_TEXT,
    AppliedPlan,
    CrossEffect,
    Interference,
    random_null,
)
from sna_eval.study.summary import GatedGain, held_out, read_measurements, summarise, summarise_task
from sna_eval.study.sweep import SweepStore, configuration_row, row_plan, run_sweep

TASKS = ("own_open", "own_labels", "own_choices")


def _source(store: SweepStore, name: str, cell: Configuration) -> AppliedPlan:
    row = configuration_row(store, name, cell)
    assert row is not None
    acts = neurons_fingerprint(row_plan(store, row).tasks[name])
    return AppliedPlan(name, "f", (cell,), configuration=acts)


def _measured(store: SweepStore) -> Interference:
    """Made up, but for the configurations, which the store has: the first of each task."""
    measured = {m.task: m for m in read_measurements(store)}
    names = (*TASKS, ALL)
    effects = tuple(
        CrossEffect(name, subject, 5, 0.2, 0.2 + 0.01 * n - 0.02 * k, -0.1, 0.1, 0.5)
        for k, subject in enumerate((*TASKS, PLAIN_TEXT))
        for n, name in enumerate(names)
    )
    sources = tuple(_source(store, name, measured[name].at(0)) for name in TASKS)
    nulls = random_null([(name, 0.1, [0.0, 0.05, 0.2]) for name in TASKS])
    return Interference("m", "p", "test", None, "texts", sources, effects, nulls, {})


@pytest.fixture(scope="module")
def written(store: SweepStore, tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("report") / "page.html"
    further = ReportOptions(measured=_measured(store))
    return write_report(store, path, further=further, command="typed <so>", draws=200)


class _Reader(HTMLParser):
    """Collects headings, cells, and everything that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.cells: list[str] = []
        self.headings: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside.append(tag)
        found = [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]
        self.fetched += [value for value in found if not value.startswith("#")]

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside[-1:] == ["td"]:
            self.cells.append(data)
        if self._inside[-1:] == ["h2"]:
            self.headings.append(data)


def _read(path: Path) -> _Reader:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def test_the_page_needs_no_network(written: Report) -> None:
    text = written.page.read_text(encoding="utf-8")
    reader = _read(written.page)
    assert reader.fetched
    assert all(image.startswith("data:image/svg+xml;base64,") for image in reader.fetched)
    assert "<script" not in text
    assert "url(" not in text
    for image in reader.fetched:
        svg = ElementTree.fromstring(base64.b64decode(image.partition(",")[2]))
        links = [v for e in svg.iter() for k, v in e.attrib.items() if k.endswith("href")]
        assert all(link.startswith(("#", "data:")) for link in links)


def test_every_part_is_there(written: Report) -> None:
    assert _read(written.page).headings == [
        "In short",
        "Baseline against improvement",
        "Tasks",
        "Layers",
        "Counts and multipliers",
        "Three factors",
        "Response curves",
        "Development against test",
        "Interference",
        "Random neurons",
        "How this was made",
    ]
    names = {path.name for path in written.figures}
    stems = {path.stem for path in written.figures}
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "png")}
    assert {"baseline", "layers", "grids", "interference", "random", "held-out"} <= stems
    assert "response-own_labels" in stems
    assert all(path.stat().st_size > 1000 for path in written.figures)


def test_the_tables_hold_the_store_s_figures(written: Report, store: SweepStore) -> None:
    frame = store.configurations().to_pandas()
    cells = _read(written.page).cells
    for task in TASKS:
        rows = frame[frame["task"] == task]
        assert task in cells
        assert probability(float(rows["baseline_prob"].iloc[0])) in cells
        assert percent(float(rows["improvement_pct"].max())) in cells
        assert percent(float(rows["improvement_pct"].mean())) in cells
    for value in ("model_hash", "plan_fingerprint"):
        assert store.manifest[value] in cells
    assert any(store.manifest["versions"]["torch"] in cell for cell in cells)


def test_the_command_is_escaped_and_the_sweep_s_can_be_typed(
    written: Report, store: SweepStore
) -> None:
    text = written.page.read_text(encoding="utf-8")
    assert "typed &lt;so&gt;" in text
    commands = sweep_commands(store.manifest)
    assert len(commands) == 2  # differential tasks and the contrastive one
    assert "--tasks own_open,own_choices" in commands[0]
    assert "--top_k 2,5 --multipliers 1.5,3" in commands[0]
    assert "--select contrastive" in commands[1]
    assert "--directions both" in commands[1]


@pytest.mark.parametrize(
    ("changes", "items", "words"),
    [
        ({}, "development", []),
        ({"limit": 8}, "development, the first 8 of each task", ["--limit", "8"]),
        ({"limit": 8, "spread": True}, "development, 8 of each task, evenly spread",
         ["--limit", "8", "--spread"]),
    ],
)  # fmt: skip
def test_it_says_which_items_were_taken(
    store: SweepStore, changes: dict[str, Any], items: str, words: list[str]
) -> None:
    manifest = {**store.manifest, "limit": None, "split": "development", **changes}
    assert ("items", items) in made_table(manifest, None).rows
    typed = shlex.split(sweep_commands(manifest)[0])
    args = parser()[0].parse_args(typed[1:])
    assert (args.limit, args.spread) == (changes.get("limit"), "spread" in changes)
    assert [word for word in typed if word in words] == words


def test_the_same_numbers_give_the_same_bytes(
    written: Report, store: SweepStore, tmp_path: Path
) -> None:
    further = ReportOptions(measured=_measured(store))
    page = tmp_path / "page.html"
    again = write_report(store, page, further=further, command="typed <so>", draws=200)
    assert again.page.read_bytes() == written.page.read_bytes()


def test_development_against_test_by_hand(store: SweepStore) -> None:
    measurements = read_measurements(store)
    found = held_out(store, measurements, _measured(store))
    assert [one.task for one in found] == list(TASKS)
    first = measurements[0]
    assert found[0].development == pytest.approx(100 * first.change.flat[0] / first.baseline)
    assert found[0].test == pytest.approx(0.0)  # 0.2 stays 0.2
    assert found[1].test == pytest.approx(-5.0)  # 0.2 becomes 0.19
    assert (found[0].low, found[0].high) == pytest.approx((-50, 50))
    assert found[1].curse == pytest.approx(found[1].development + 5)
    elsewhere = replace(
        _measured(store), sources=(AppliedPlan("own_open", "f", (Configuration(0, 1, 2, "x"),)),)
    )
    assert held_out(store, measurements, elsewhere) == ()
    others = tuple(replace(source, configuration="0") for source in _measured(store).sources)
    assert held_out(store, measurements, replace(_measured(store), sources=others)) == ()
    assert held_out(store, measurements, replace(_measured(store), split="development")) == ()


def test_figures_hold_every_task(store: SweepStore) -> None:
    summary = summarise(store, draws=100)
    measured = _measured(store)
    drawings = {
        "baseline": baseline.draw(summary.tasks, summary.across),
        "layers": layers.draw(summary.layers),
        "grids": grids.draw(summary.measurements, summary.tasks),
        "interference": interference.draw(measured),
        "controls": controls.draw(measured.controls),
    }
    for name, drawing in drawings.items():
        texts = {
            text.get_text()
            for axes in drawn(drawing).axes
            for text in axes.findobj()
            if hasattr(text, "get_text")
        }
        shown = " | ".join(texts)
        assert all(short(task) in shown for task in TASKS), name
    first, second = (as_svg(drawn(drawings["layers"])) for _ in range(2))
    assert first == second


def test_the_golden_zone_is_framed(store: SweepStore) -> None:
    """As many frames as cells above 10 % at the best layer, counted from the store."""
    measurements = [
        measured for measured in read_measurements(store) if measured.task == "own_open"
    ]
    (measurement,) = measurements
    shifted = replace(measurement, change=measurement.change + 0.12 * measurement.baseline)
    summary = summarise_task(shifted)
    frames = drawn(grids.draw([shifted], [summary])).axes[0].patches
    layer = shifted.layers.index(summary.best_layer)
    assert len(frames) == int((shifted.improvement[0, layer] > 10).sum()) > 0


def test_heat_maps_write_no_negative_zero() -> None:
    assert [marks.written(value) for value in (-0.01, 0.04, -3.25, 123.4)] == [
        "0.0", "0.0", "-3.2", "123",
    ]  # fmt: skip
    assert marks.largest(np.array([[np.nan, -3.0], [2.0, 1.0]])) == 3
    assert marks.largest(np.full((1, 1), np.nan)) == 1


def test_numbers_and_escaping() -> None:
    assert [p_value(p) for p in (0.04567, 0.00001, float("nan"))] == ["0.0457", "< 0.0001", "n/a"]
    assert [probability(p) for p in (0.1234567, 0.00012, 0.0)] == ["0.1235", "1.2e-04", "0.0000"]
    assert percent(-12.345) == "-12.35"
    text = page("a < b", "c & d", [Section("<i>", (Table(("<th>",), (("<td>",),)), "    <pre>"))])
    assert not re.search(r"<(i|b)>", text)
    assert "&lt;td&gt;" in text
    assert "<pre>&lt;pre&gt;</pre>" in text


def test_tables_of_interference_by_hand(store: SweepStore) -> None:
    """`own_open`'s intervention changes `own_labels` by -10 %, the reverse is +5 %."""
    rows = tables.asymmetry_table(_measured(store)).rows
    pair = next(row for row in rows if row[:2] == ("own_open", "own_labels"))
    assert pair[2:] == ("-10.00", "+5.00", "-15.00")
    assert [row[0] for row in tables.together_table(_measured(store)).rows] == list(TASKS)
    assert tables.together_table(_measured(store)).rows[0][1:] == ("+0.00", "+15.00", "+15.00")


def test_as_typed(store: SweepStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _measured(store).save(tmp_path / "measured")
    output = tmp_path / "deep" / "page.html"
    typed = ["report", str(store.path), "--output", str(output), "--draws", "50"]
    assert main([*typed, "--interference", str(tmp_path / "measured")]) == 0
    assert capsys.readouterr().out.startswith(f"{output}: ")
    assert (output.parent / "figures" / "interference.svg").exists()
    assert "sna-eval report" in output.read_text(encoding="utf-8")
    assert main(["report", str(tmp_path / "none")]) == 2
    assert "expected a folder written by `sna-eval sweep`" in capsys.readouterr().err
    (tmp_path / "file").touch()
    typed[3] = str(tmp_path / "file" / "page.html")
    assert main(typed) == 2
    assert "output: expected a path that can be written" in capsys.readouterr().err


def test_one_task_has_a_report_too(sweep_of: Callable[..., Any], tmp_path: Path) -> None:
    store = run_sweep(sweep_of("own_open", layers=(0, 2)), tmp_path / "store", quiet=True)
    written = write_report(store, draws=50)
    assert written.page == tmp_path / "store" / "report" / "index.html"
    text = written.page.read_text(encoding="utf-8")
    assert "Correlations need three tasks" in text
    assert "Too few tasks for three factors" in text


def test_curves_of_another_sweep_and_the_caller_s_sections(
    sweep_of: Callable[..., Any], tmp_path: Path
) -> None:
    store = run_sweep(sweep_of("own_open", layers=(0,)), tmp_path / "open", quiet=True)
    labels = run_sweep(sweep_of("own_labels", layers=(1,)), tmp_path / "labels", quiet=True)
    further = ReportOptions(labelled=(labels,), sections=(Section("First of all", ("So it is.",)),))
    written = write_report(store, further=further, draws=50)
    headings = _read(written.page).headings
    assert headings[:2] == ["In short", "First of all"]
    assert "Response curves" in headings
    assert "response-own_labels" in {path.stem for path in written.figures}
    text = written.page.read_text(encoding="utf-8")
    for one in (store, labels):
        assert one.manifest["plan_fingerprint"] in text
        assert sweep_commands(one.manifest)[0] in text


def test_the_answer_comes_first_and_then_the_contents_lead_to_every_section(
    written: Report,
) -> None:
    text = written.page.read_text(encoding="utf-8")
    led_to = re.findall(r'<a href="#(s\d+)">([^<]+)</a>', text.partition("</nav>")[0])
    assert [name for _, name in led_to] == _read(written.page).headings
    assert re.findall(r'<section id="(s\d+)">', text) == [place for place, _ in led_to]
    opening = text.partition("</section>")[0]
    assert "3 tasks: " in opening
    assert "No plan chosen from this sweep was evaluated on test items" in opening
    assert "The random neurons beside this plan were not searched as it was" in opening


def _gain(task: str, low: float, high: float, *, sees_answer: bool = False) -> GatedGain:
    return GatedGain(task, "prob", 0.2, 9, 9, (low + high) / 2, low, high, 9, 0.5, sees_answer)


def test_the_opening_counts_what_stands_out(store: SweepStore, tmp_path: Path) -> None:
    gated = (
        _gain("a", 0.1, 0.3, sees_answer=True), _gain("b", -0.1, 0.1), _gain("c", -0.3, -0.1),
        _gain("d", 0.0, 0.1),
    )  # fmt: skip
    measured = _measured(store)
    searched = tuple(
        replace(control, searched=True, p_holm=p)
        for control, p in zip(measured.controls, (0.05, 0.051, 0.9), strict=True)
    )
    further = ReportOptions(
        measured=replace(measured, controls=searched), gated=gated, remarks=("And so on.",)
    )
    written = write_report(store, tmp_path / "page.html", further=further, draws=50)
    opening = written.page.read_text(encoding="utf-8").partition("</section>")[0]
    assert "1 of 4 tasks gain and 1 lose" in opening
    assert "for 2 the interval holds 0" in opening
    assert "The gates of a look at the right answer" in opening
    first = searched[0].task
    assert f"1 of 3 tasks stand out after Holm&#x27;s correction: {first}." in opening
    assert "(3 or more draws)" in opening
    assert "And so on." in opening


def test_an_unfinished_sweep_gives_no_curves(sweep_of: Callable[..., Any], tmp_path: Path) -> None:
    """The best layer of those that happened to be done was called the best of all."""
    store = run_sweep(sweep_of("own_open", layers=(0,)), tmp_path / "open", quiet=True)
    labels = run_sweep(sweep_of("own_labels", layers=(0, 1)), tmp_path / "labels", quiet=True)
    next((labels.path / "configurations").rglob("layer-001.parquet")).unlink()
    again = SweepStore.load(labels.path)
    with pytest.raises(InputError, match="store: expected a complete sweep, got '1 of 2 units"):
        write_report(store, further=ReportOptions(labelled=(again,)), draws=50)


@pytest.mark.parametrize("draws", [0, -1])
def test_no_draws(
    store: SweepStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], draws: int
) -> None:
    """It was said that the store is damaged, and should be deleted."""
    for more in ([], ["--results", str(tmp_path)]):
        assert main(["report", str(store.path), "--draws", str(draws), *more]) == 2
        line = capsys.readouterr().err.strip()
        assert line == f"sna-eval: error: draws: expected at least 1, got {draws}"


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("sna_eval.reporting")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'sna-eval\[report\]'"):
        import sna_eval.reporting.style  # noqa: F401


def test_a_task_of_two_sweeps_has_a_figure_for_each(
    store: SweepStore, sweep_of: Callable[..., Any], tmp_path: Path
) -> None:
    """They were drawn as one panel, under the layer and count of the first."""
    again = run_sweep(sweep_of("own_labels", layers=(2,)), tmp_path / "again", quiet=True)
    page = tmp_path / "page.html"
    found = write_report(store, page, further=ReportOptions(labelled=(again,)), draws=100)
    stems = {path.stem for path in found.figures}
    assert {"response-own_labels", "response-own_labels-2"} <= stems
    drawn = (page.parent / "figures" / "response-own_labels-2.svg").read_text()
    assert "layer 2" in drawn


def test_a_single_random_draw_has_a_table_and_no_figure(store: SweepStore, tmp_path: Path) -> None:
    measured = replace(_measured(store), controls=random_null([(TASKS[0], 0.1, [0.05])]))
    found = write_report(
        store, tmp_path / "p.html", further=ReportOptions(measured=measured), draws=100
    )
    assert "random" not in {path.stem for path in found.figures}
    assert "Random neurons" in _read(found.page).headings
