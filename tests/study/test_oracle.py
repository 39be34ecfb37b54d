"""One real run whose direction follows the right answer, and its mark in every table."""

from __future__ import annotations

import copy
import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from sna_eval.app.core.runs import ResultFolder, open_folder, saved_run
from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.measuring.grid import Configuration
from sna_eval.plan import Plan, load_plan, save_plan
from sna_eval.reporting import tables
from sna_eval.reporting.report import ReportOptions, write_report
from sna_eval.study.calibration import find_boundaries, task_outcomes
from sna_eval.study.choosing import SelectOptions, select
from sna_eval.study.compare import as_text, compare, read_run, split
from sna_eval.study.interference import (
    ALL,
    PLAIN_TEXT,
    AppliedPlan,
    CrossEffect,
    Interference,
    measure_interference,
)
from sna_eval.study.methods import MethodsOptions, MethodTable, measure_methods, parse_variants
from sna_eval.study.methods.formatting import format_summary, format_table
from sna_eval.study.results.locating import result_file
from sna_eval.study.summary import gated_gains
from sna_eval.study.sweep import Sweep, SweepOptions, SweepStore, run_sweep
from tests.study.conftest import SMALL

NAME = "own_gold"
TASK = """
include: {folder}/own_labels.yaml
task: own_gold
process_results: !function sna_eval.harness.metrics.classification_results
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: baseline_acc, aggregation: mean, higher_is_better: true}}
  - {{metric: oracle, aggregation: mean, higher_is_better: false}}
""" + "".join(
    f"  - metric: {name}_zone{zone}\n"
    "    aggregation: !function sna_eval.harness.metrics.scored_mean\n"
    "    higher_is_better: true\n"
    for name in ("acc", "baseline_acc")
    for zone in (1, 2, 3)
)


@dataclass(frozen=True)
class Gold:
    """A sweep towards the right answer, the plan chosen from it, and lm_eval's run of that."""

    task: Any
    sweep: SweepStore
    plan: Path
    output: Path


@pytest.fixture(scope="module")
def gold(
    lm: Any, checkpoint: Path, own_tasks: Path, tmp_path_factory: pytest.TempPathFactory
) -> Gold:
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("gold")
    (folder / "tasks").mkdir()
    (folder / "tasks" / f"{NAME}.yaml").write_text(TASK.format(folder=own_tasks))
    manager = TaskManager(include_path=folder / "tasks", include_defaults=False)
    tasks = dict(manager.load([NAME])["tasks"])
    options = SweepOptions(
        tasks=(NAME,), layers=(1,), directions=("gold",), allow_oracle=True, **SMALL
    )
    swept = run_sweep(Sweep(options, lm=lm, tasks=tasks), folder / "sweep", quiet=True)
    plan = folder / "plan.yaml"
    save_plan(select(swept, SelectOptions(allow_oracle=True, gate="always")).plan, plan)
    _evaluate(checkpoint, manager, plan, folder / "out")
    return Gold(tasks[NAME], swept, plan, folder / "out")


def _evaluate(checkpoint: Path, manager: Any, plan: Path, output: Path) -> None:
    """As lm_eval's command line does it."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker

    from sna_eval.harness.plugin.registration import register

    register()
    tracker = EvaluationTracker(output_path=str(output))
    results = simple_evaluate(
        model="sna", model_args={"pretrained": str(checkpoint), "plan": str(plan)}, tasks=[NAME],
        task_manager=manager, evaluation_tracker=tracker, bootstrap_iters=0,
    )  # fmt: skip
    written = copy.deepcopy(dict(results))
    samples = written.pop("samples")
    tracker.save_results_aggregated(results=written, samples=samples)
    tracker.save_results_samples(task_name=NAME, samples=samples[NAME])


@pytest.fixture
def older(gold: Gold, tmp_path: Path) -> Path:
    """The same run as it was written before oracles were marked."""
    for path in gold.output.rglob("*.json*"):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            raw = json.loads(text)
            del raw["config"]["sna"]["oracle"], raw["config"]["sna"]["tasks"][NAME]["oracle"]
            text = json.dumps(raw)
        else:
            lines = [json.loads(line) for line in text.splitlines()]
            text = "\n".join(
                json.dumps({k: v for k, v in line.items() if k != "oracle"}) for line in lines
            )
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_choice_and_its_plan(
    gold: Gold, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(gold.sweep.configurations().column("oracle").to_pylist()) == {True}
    (choice,) = select(gold.sweep, SelectOptions(allow_oracle=True)).choices
    assert choice.oracle
    (entry,) = load_plan(gold.plan).tasks[NAME].interventions
    assert entry.oracle
    assert entry.chosen.oracle is True
    typed = ["select", str(gold.sweep.path), "--output", str(tmp_path / "p.yaml")]
    assert main([*typed, "--allow_oracle"]) == 0
    assert capsys.readouterr().out.startswith(f"{NAME} (oracle): layer 1")


def test_boundaries_found_on_its_gains(gold: Gold) -> None:
    plan = load_plan(gold.plan).tasks[NAME]
    found = task_outcomes(gold.sweep, NAME, plan, gain=10.0)
    assert found.oracle
    assert find_boundaries("margin", {NAME: found}).oracle
    assert not find_boundaries("margin", {NAME: replace(found, oracle=False)}).oracle


def test_the_result_file_and_its_samples(gold: Gold) -> None:
    raw = json.loads(result_file(gold.output).read_text(encoding="utf-8"))
    assert raw["config"]["sna"]["oracle"] is True
    assert raw["config"]["sna"]["tasks"][NAME]["oracle"] is True
    assert raw["results"][NAME]["oracle,none"] == 1.0
    (samples,) = gold.output.rglob("samples_*.jsonl")
    lines = samples.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["oracle"] for line in lines] == [1.0] * 6


@pytest.mark.parametrize("which", ["new", "older"])
def test_compared(gold: Gold, older: Path, which: str) -> None:
    found = compare(*split(read_run(gold.output if which == "new" else older)))
    assert [(row.oracle, row.sees_answer) for row in found.rows] == [(True, True)]
    assert f"{NAME} (oracle)" in as_text([found])
    assert found.cautions == (f"oracle: B amplified by the right answer in {NAME}",)


@pytest.mark.parametrize("which", ["new", "older"])
def test_in_the_app(gold: Gold, older: Path, which: str) -> None:
    opened = open_folder(str(gold.output if which == "new" else older))
    assert isinstance(opened, ResultFolder)
    assert opened.oracles == (NAME,)
    assert {row.label for row in opened.rows} == {f"{NAME} (oracle)"}
    saved = saved_run(opened)
    assert "direction: gold" in saved.plan
    assert "allow_oracle: true" in saved.plan
    shown = AppTest.from_function(_page, default_timeout=60, args=(opened,)).run()
    assert not shown.exception
    said = "\n".join(str(entry.proto.body) for entry in shown.get("html"))
    assert f"{NAME} (oracle)" in said
    assert f"Oracles, amplified by the right answer: {NAME}." in said


def _page(opened: object) -> None:
    from sna_eval.app.core.runs import ResultFolder
    from sna_eval.app.ui import result_view

    assert isinstance(opened, ResultFolder)
    result_view.show(opened)


@pytest.mark.parametrize("which", ["new", "older"])
def test_the_report_says_it(
    gold: Gold, older: Path, store: SweepStore, tmp_path: Path, which: str
) -> None:
    gated = gated_gains(gold.output if which == "new" else older, draws=100)
    assert [one.oracle for one in gated] == [True]
    table = tables.gated_table((*gated, replace(gated[0], oracle=False, sees_answer=True)))
    assert table.headings[-2:] == ("descriptive", "oracle")
    assert [row[-2:] for row in table.rows] == [("yes", "yes"), ("yes", "no")]
    if which == "new":
        report = write_report(
            store, tmp_path / "p.html", further=ReportOptions(gated=gated), draws=50
        )
        page = report.page.read_text(encoding="utf-8")
        row = next(line for line in page.splitlines() if f"<td>{NAME}</td>" in line)
        assert row.endswith("<td>yes</td><td>yes</td></tr>")
        assert "own gold (oracle) (acc)" in _svg_texts(report.figures)


def _svg_texts(figures: tuple[Path, ...]) -> str:
    """Texts of the figure of gated gains; SVG keeps them as comments where they are drawn."""
    (figure,) = (figure for figure in figures if figure.name == "gated.svg")
    return figure.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def measured(
    gold: Gold, lm: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[MethodTable, Path]:
    return _methods(gold, lm, tmp_path_factory.mktemp("methods"))


def _methods(gold: Gold, lm: Any, folder: Path) -> tuple[MethodTable, Path]:
    variants = parse_variants(["temperature"], seed=0)
    plan = load_plan(gold.plan)
    task = plan.tasks[NAME]
    plan = Plan({NAME: replace(task, gate=Gate("margin", 0.5, 0.9))}, plan.model)
    with lm.under(plan):
        table = measure_methods(
            lm, {NAME: gold.task}, variants, MethodsOptions(random_draws=1, draws=50),
            output=folder, quiet=True,
        )  # fmt: skip
    table.save(folder)
    return table, folder


ORACLES = {
    "sna": True, "sna_searched": False, "random_neurons": False, "temperature": False,
    "temperature_entropy": False,
}  # fmt: skip


def test_methods_beside_it(measured: tuple[MethodTable, Path]) -> None:
    """What is searched in its place amplifies all labels; a temperature knows none."""
    table, folder = measured
    assert {row.method: row.oracle for row in table.rows} == ORACLES
    rows = json.loads((folder / "methods.json").read_text())["rows"]
    assert {row["method"]: row["oracle"] for row in rows} == ORACLES
    frame = pd.read_parquet(folder / "methods.parquet")
    assert dict(zip(frame["method"], frame["oracle"], strict=True)) == ORACLES
    with (folder / "methods.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert {line["method"]: line["oracle"] == "True" for line in lines} == ORACLES
    for shown in (format_table(table), format_summary(table)):
        assert "sna (oracle)" in shown
        assert "random_neurons (oracle)" not in shown
        assert "gains are descriptive" not in shown  # the direction sees the answer, not the gate
        assert "temperature (oracle)" not in shown
    lengths = {len(line) for line in format_table(table).splitlines()[1:] if line}
    assert len(lengths) == 1  # columns stay under their headings


def test_units_from_before_it_was_kept(
    gold: Gold, lm: Any, measured: tuple[MethodTable, Path]
) -> None:
    """Their plan says it; nothing is measured again."""
    _, folder = measured
    for path in (folder / "units").glob("*.json"):
        unit = json.loads(path.read_text())
        del unit["oracle"]
        path.write_text(json.dumps(unit))
    table, _ = _methods(gold, lm, folder)
    assert {row.method: row.oracle for row in table.rows} == ORACLES
    assert all("oracle" not in path.read_text() for path in (folder / "units").glob("*.json"))


def test_interference_refuses_it(gold: Gold, lm: Any) -> None:
    """Another task's items have no right label of these; so no such file says `oracle: true`."""
    with (
        lm.under(load_plan(gold.plan)),
        pytest.raises(InputError, match="direction: expected `both` or a label"),
    ):
        measure_interference(lm, {NAME: gold.task}, quiet=True)


def test_tables_of_interference_mark_what_a_file_says(tmp_path: Path) -> None:
    names, subjects = ("a", "b", ALL), ("a", "b", PLAIN_TEXT)
    effects = tuple(CrossEffect(n, s, 5, 0.2, 0.3, -0.1, 0.1, 0.5) for s in subjects for n in names)
    sources = (
        AppliedPlan("a", "f", (Configuration(1, 5, 2.0, "gold"),)),
        AppliedPlan("b", "f", (Configuration(1, 5, 2.0),)),
    )
    found = Interference("m", "p", "test", None, "texts", sources, effects, (), {})
    path = found.save(tmp_path)
    raw = json.loads(path.read_text())
    assert [source["oracle"] for source in raw["sources"]] == [True, False]
    for source in raw["sources"]:
        del source["oracle"]
    path.write_text(json.dumps(raw))
    read = Interference.load(tmp_path)
    assert read == found
    first = [row[0] for row in tables.text_table(read).rows]
    assert first == ["a (oracle)", "b", f"{ALL} (oracle)"]
    assert tables.asymmetry_table(read).rows[0][:2] == ("a (oracle)", "b")
    assert [row[0] for row in tables.together_table(read).rows] == ["a (oracle)", "b"]


def test_without_gold_nothing_is_marked(store: SweepStore) -> None:
    selection = select(store)
    assert not any(choice.oracle for choice in selection.choices)
    (entry,) = selection.plan.tasks["own_labels"].interventions
    assert entry.chosen.oracle is None
