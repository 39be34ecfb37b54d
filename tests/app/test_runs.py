"""Folders of earlier runs: told apart by what is in them, and read as the report reads them."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sna_eval.app.core.runs import (
    InterferenceFolder,
    ResultFolder,
    SweepFolder,
    open_folder,
    saved_choice,
    saved_run,
)
from sna_eval.app.core.workspace import Workspace
from sna_eval.app.ui import run_charts
from sna_eval.errors import InputError
from sna_eval.harness.loading import load_tasks
from sna_eval.plan import load_plan, parse_plan
from sna_eval.study.interference import Interfering, measure_interference
from sna_eval.study.summary import held_out, summarise
from sna_eval.study.sweep import Sweep, SweepOptions, SweepStore, run_sweep

TASKS = ["sna_math_easy", "sna_logic_easy", "sna_coding_easy"]


@pytest.fixture(scope="module")
def tasks() -> dict[str, Any]:
    return load_tasks(TASKS, only_bundled=True)


@pytest.fixture(scope="module")
def swept(workspace: Workspace, tasks: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    options = SweepOptions(
        tasks=tuple(TASKS), layers=(1, 4), n_neurons=(3, 5), multipliers=(1.5, 3.0), limit=6
    )
    run_sweep(Sweep(options, lm=workspace.lm, tasks=tasks), folder, quiet=True)
    return folder


@pytest.fixture(scope="module")
def opened(swept: Path) -> SweepFolder:
    found = open_folder(f" {swept} ", draws=50)
    assert isinstance(found, SweepFolder)
    return found


@pytest.fixture(scope="module")
def interfered(
    opened: SweepFolder, tasks: Any, tmp_path_factory: pytest.TempPathFactory
) -> InterferenceFolder:
    from sna_eval.harness.loading import load_lm

    folder = tmp_path_factory.mktemp("interference")
    (folder / "plan.yaml").write_text(saved_choice(opened).plan)
    text = folder / "text.txt"
    text.write_text("The sea is wide.\nRain fell on the roof.\n")
    lm = load_lm("pretrained=sna-reference", plan=str(folder / "plan.yaml"))
    asked = Interfering(limit=4, random_draws=2, draws=20, text=str(text))
    measure_interference(lm, tasks, asked, model_name="sna-reference").save(folder)
    found = open_folder(str(folder))
    assert isinstance(found, InterferenceFolder)
    return found


def test_a_sweep_is_summed_up_as_in_its_report(swept: Path, opened: SweepFolder) -> None:
    assert opened.summary.tasks == summarise(SweepStore.load(swept), draws=50).tasks


def test_a_sweeps_choice_is_a_plan_and_a_command(opened: SweepFolder) -> None:
    saved = saved_choice(opened)
    plan = parse_plan(yaml.safe_load(saved.plan))
    assert set(plan.tasks) == set(TASKS)
    assert '--include_path "$(sna-eval tasks-path)"' in saved.command
    assert f"--tasks {','.join(TASKS)} " in saved.command


def test_every_chart_holds_the_reports_values(
    opened: SweepFolder, interfered: InterferenceFolder
) -> None:
    summary = opened.summary
    baseline = run_charts.baseline_chart(summary.tasks).to_dict()
    shown = {row["improvement"] for rows in baseline["datasets"].values() for row in rows
             if "improvement" in row}  # fmt: skip
    assert shown == {own.best_improvement for own in summary.tasks}
    layers = run_charts.layer_chart(summary.layers).to_dict()
    cells = [row["mean improvement, %"] for rows in layers["datasets"].values() for row in rows]
    assert cells == pytest.approx(summary.layers.improvement.flatten().tolist())
    own = summary.measurements[0]
    grid = run_charts.grid_chart(own, 4, "both").to_dict()
    cells = [row["improvement, %"] for rows in grid["datasets"].values() for row in rows]
    assert cells == pytest.approx(own.improvement[0, 1].flatten().tolist())
    across = run_charts.correlation_chart(summary.across).to_dict()
    assert sum(map(len, across["datasets"].values())) == 2 * len(summary.across)
    found = run_charts.interference_chart(interfered.measured).to_dict()
    assert sum(map(len, found["datasets"].values())) == len(interfered.measured.interventions) * 3
    rows = held_out(summary.measurements, interfered.measured)
    assert run_charts.held_out_chart(rows).to_dict()


def test_the_page_shows_a_sweep_with_interference(
    opened: SweepFolder, interfered: InterferenceFolder, swept: Path
) -> None:
    from streamlit.testing.v1 import AppTest

    def page() -> None:
        from sna_eval.app.ui import runs_page, state

        state.keep()
        runs_page.show()

    app = AppTest.from_function(page, default_timeout=60)
    app.session_state["opened"] = (opened, interfered.measured)
    app.run()
    assert not app.exception
    assert not app.error
    headings = [entry.value for entry in app.subheader]
    assert headings[:4] == [
        "Baseline against improvement", "Tasks", "Layers", "Counts and multipliers",
    ]  # fmt: skip
    assert {"Interference", "Random neurons", "Development against test"} <= set(headings)
    best = opened.summary.tasks[0].best
    (take,) = [button for button in app.button if button.label.startswith("Take the best")]
    take.click().run()
    assert (app.session_state["layer"], app.session_state["count"]) == (best.layer, best.n_neurons)
    assert app.session_state["source"] == TASKS[0]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a real run."""
    from sna_eval.cli import main

    folder = tmp_path_factory.mktemp("run")
    arguments = [
        "--model_args", "pretrained=sna-reference,plan=sna-reference", "--tasks", "sna_math_easy",
        "--limit", "8", "--output_path", str(folder), "--log_samples", "--batch_size", "8",
    ]  # fmt: skip
    assert main(["run", *arguments]) == 0
    return folder


def test_results_are_read_with_their_items_and_plan(evaluated: Path) -> None:
    found = open_folder(str(evaluated))
    assert isinstance(found, ResultFolder)
    (file,) = evaluated.rglob("samples_*.jsonl")
    samples = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(own.before, own.after) for own in found.items] == [
        (sample["baseline_prob"], sample["prob"]) for sample in samples
    ]
    assert found.rows[0].zone == "all"
    saved = saved_run(found)
    plan = parse_plan(yaml.safe_load(saved.plan))
    bundled = load_plan("sna-reference")
    assert plan.tasks["sna_math_easy"] == bundled.tasks["sna_math_easy"]
    assert "pretrained=sna-reference,plan=plan.yaml" in saved.command
    assert "--limit 8" in saved.command
    assert run_charts.item_chart(found.items).to_dict()


def test_the_command_of_a_run_keeps_what_else_it_was_asked(evaluated: Path) -> None:
    found = open_folder(str(evaluated))
    assert isinstance(found, ResultFolder)
    given = {"pretrained": "org/model", "dtype": "float16", "strict": True, "plan": "a.yaml",
             "gate": "always", "auto_budget": 5}  # fmt: skip
    asked = replace(found, config={**found.config, "model_args": given, "limit": None},
                    shots={"sna_math_easy": 3})  # fmt: skip
    words = shlex.split(saved_run(asked).command)
    assert words[words.index("--model_args") + 1] == (
        "pretrained=org/model,dtype=float16,strict=True,plan=plan.yaml"
    )
    assert words[words.index("--num_fewshot") + 1] == "3"
    assert "--limit" not in words


def test_a_run_without_a_plan_has_none_to_save() -> None:
    with pytest.raises(InputError, match="plan: expected a run of `--model sna` with a plan"):
        saved_run(ResultFolder((), (), {}))


def test_a_sweep_of_test_items_has_nothing_to_choose(
    workspace: Workspace, tasks: Any, tmp_path: Path
) -> None:
    options = SweepOptions(
        tasks=("sna_math_easy",), layers=(4,), n_neurons=(3,), multipliers=(2.0,), limit=2,
        split="test",
    )  # fmt: skip
    own = {"sna_math_easy": tasks["sna_math_easy"]}
    run_sweep(Sweep(options, lm=workspace.lm, tasks=own), tmp_path, quiet=True)
    found = open_folder(str(tmp_path), draws=10)
    assert isinstance(found, SweepFolder)
    with pytest.raises(InputError, match="development"):
        saved_choice(found)
