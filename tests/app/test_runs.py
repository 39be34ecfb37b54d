"""Folders of earlier runs: told apart by what is in them, and read as the report reads them."""

from __future__ import annotations

import json
import shlex
import shutil
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
    page_to_read,
    saved_choice,
    saved_run,
)
from sna_eval.app.core.workspace import Workspace
from sna_eval.app.ui import pieces
from sna_eval.app.ui.in_altair import chart
from sna_eval.app.ui.result_view import item_panel
from sna_eval.errors import InputError
from sna_eval.harness.loading import load_tasks
from sna_eval.plan import load_plan, parse_plan
from sna_eval.reporting.colours import short
from sna_eval.reporting.figures import baseline, grids, interference, layers, response
from sna_eval.reporting.figures import held_out as held_out_figure
from sna_eval.reporting.view import write_view
from sna_eval.study.interference import InterferenceOptions, measure_interference
from sna_eval.study.statistics import Interval
from sna_eval.study.summary import Decomposition, ResponseCurve, Share, held_out, summarise
from sna_eval.study.sweep import Sweep, SweepOptions, SweepStore, run_sweep
from tests.app.test_pages import errors, pressed, runs, texts
from tests.app.test_pages import opened as shown

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
    asked = InterferenceOptions(limit=4, random_draws=2, draws=20, text=str(text))
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


def test_a_sweeps_command_loads_what_it_loaded(opened: SweepFolder) -> None:
    """Without `revision`, other weights were tested than the plan was chosen on."""
    given = {"pretrained": "x", "revision": "step3", "dtype": "auto", "device": "cpu"}
    loaded = {"model_args": {**given, "batch_size": 4}, "include_path": "my tasks"}
    store = replace(opened.store, manifest={**opened.store.manifest, "asked": loaded})
    words = shlex.split(saved_choice(replace(opened, store=store)).command)
    given = words[words.index("--model_args") + 1]
    assert given == "pretrained=sna-reference,dtype=float32,revision=step3,plan=plan.yaml"
    assert words[words.index("--device") + 1] == "cpu"  # lm_eval passes it on itself
    assert words[words.index("--batch_size") + 1] == "4"
    assert words[words.index("--include_path") + 1] == "my tasks"


def test_every_chart_holds_the_reports_values(
    opened: SweepFolder, interfered: InterferenceFolder
) -> None:
    summary = opened.summary
    drawn = chart_rows(chart(baseline.scatter(summary.tasks)))
    shown = {row["improvement"] for row in drawn if "improvement" in row}
    assert shown == {task.best_improvement for task in summary.tasks}
    cells = column(chart(layers.draw(summary.layers).panels[0]), "mean improvement, %")
    assert cells == pytest.approx(summary.layers.improvement.flatten().tolist())
    measurement = summary.measurements[0]
    cells = column(chart(grids.panel(measurement, 4, "both")), "improvement, %")
    assert cells == pytest.approx(measurement.improvement[0, 1].flatten().tolist())
    percent, absolute = columns(chart(baseline.correlations(summary.across)), "correlation")
    assert percent == [one.result.improvement.coefficient for one in summary.across]
    assert absolute == [one.result.absolute.coefficient for one in summary.across]
    found = column(chart(interference.tasks(interfered.measured)), "change, %")
    assert len(found) == len(interfered.measured.interventions) * 3
    rows = held_out(opened.store, summary.measurements, interfered.measured)
    development, test = columns(chart(held_out_figure.draw(rows).panels[0]), "gain")
    assert development == [row.development for row in rows]
    assert test == [row.test for row in rows]
    assert len(rows) == len(TASKS)


def columns(drawn: Any, name: str) -> list[list[Any]]:
    """One column of every data set of a chart that has it, in the order of the marks."""
    content = drawn.to_dict()
    sets = [content["datasets"][layer["data"]["name"]] for layer in content["layer"]]
    return [[row[name] for row in rows] for rows in sets if rows and name in rows[0]]


def column(drawn: Any, name: str) -> list[Any]:
    """The first of them."""
    return columns(drawn, name)[0]


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
    assert [(item.before, item.after) for item in found.items] == [
        (sample["baseline_prob"], sample["prob"]) for sample in samples
    ]
    assert found.rows[0].zone == "all"
    saved = saved_run(found)
    plan = parse_plan(yaml.safe_load(saved.plan))
    bundled = load_plan("sna-reference")
    assert plan.tasks["sna_math_easy"] == bundled.tasks["sna_math_easy"]
    assert "pretrained=sna-reference,plan=plan.yaml" in saved.command
    assert "--limit 8" in saved.command
    drawn = [value for one in columns(chart(item_panel(found.items)), "after") for value in one]
    assert sorted(drawn) == sorted(item.after for item in found.items)


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


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, []),
        ({"gen_kwargs": {"do_sample": True, "temperature": 0.5}},
         ["--gen_kwargs", "do_sample=True,temperature=0.5"]),
        ({"fewshot_seed": 7}, ["--seed", "0,1234,1234,7"]),
        (dict.fromkeys(("random_seed", "numpy_seed", "torch_seed", "fewshot_seed"), 0),
         ["--seed", "0,0,0,0"]),
        ({"random_seed": None, "torch_seed": 3}, ["--seed", "None,1234,3,1234"]),
    ],
)  # fmt: skip
def test_the_command_of_a_run_generates_and_draws_alike(
    evaluated: Path, config: dict[str, Any], expected: list[str]
) -> None:
    found = open_folder(str(evaluated))
    assert isinstance(found, ResultFolder)
    words = shlex.split(saved_run(replace(found, config={**found.config, **config})).command)
    shots = words.index("--num_fewshot")
    assert words[shots + 2 : words.index("--include_path")] == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, []),
        ({"system_instruction": "Be brief."}, ["--system_instruction", "Be brief."]),
        ({"chat_template": "{{ messages }}", "fewshot_as_multiturn": False},
         ["--apply_chat_template", "--fewshot_as_multiturn", "false"]),
        ({"chat_template": "{{ messages }}", "fewshot_as_multiturn": True},
         ["--apply_chat_template", "--fewshot_as_multiturn", "true"]),
    ],
)  # fmt: skip
def test_the_command_of_a_run_puts_the_same_around_its_prompts(
    evaluated: Path, tmp_path: Path, written: dict[str, Any], expected: list[str]
) -> None:
    """Without these flags the command gave other scores; so it did with a task's own examples."""
    shutil.copytree(evaluated, tmp_path, dirs_exist_ok=True)
    (path,) = tmp_path.rglob("results_*.json")
    raw = json.loads(path.read_text()) | {"system_instruction": None, "chat_template": None}
    path.write_text(json.dumps({**raw, **written}))
    found = open_folder(str(tmp_path))
    assert isinstance(found, ResultFolder)
    words = shlex.split(saved_run(found).command)
    shots = words.index("--num_fewshot")
    assert words[shots + 1] == "0"
    assert words[shots + 2 : words.index("--include_path")] == expected


def test_the_page_to_read_a_run_on_is_that_of_the_command(evaluated: Path) -> None:
    opened = open_folder(str(evaluated))
    assert isinstance(opened, ResultFolder)
    written = write_view(evaluated).path
    assert page_to_read(opened) == written.read_bytes()
    written.unlink()


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
    settings = {"sna_math_easy": tasks["sna_math_easy"]}
    run_sweep(Sweep(options, lm=workspace.lm, tasks=settings), tmp_path, quiet=True)
    found = open_folder(str(tmp_path), draws=10)
    assert isinstance(found, SweepFolder)
    with pytest.raises(InputError, match="development"):
        saved_choice(found)


def headings(app: Any) -> list[str]:
    assert errors(app) == []
    return [entry.value for entry in app.subheader]


def chart_rows(chart: Any) -> list[dict[str, Any]]:
    """Every row of data that a chart holds."""
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_a_sweep_is_opened_from_its_folder(swept: Path, tmp_path: Path) -> None:
    app = pressed(shown(runs, folder=str(swept)), "Open")
    assert headings(app)[0] == "Baseline against improvement"
    assert "Interference" not in headings(app)
    assert "24 configurations of 3 tasks on development items" in texts(app)
    app.text_input(key="interference").set_value(str(tmp_path)).run()
    app = pressed(app, "Open")
    assert any("a folder that `sna-eval interference` wrote" in error for error in errors(app))
    assert not app.subheader  # nothing of what was open before


def test_interference_is_shown_by_itself(interfered: InterferenceFolder) -> None:
    app = shown(runs, opened=(interfered, None))
    assert headings(app) == ["Interference", "Random neurons"]
    for effect in interfered.measured.effects:
        if effect.subject == "plain text":
            assert f">{effect.before:.3f}<" in texts(app)


def test_results_are_shown_item_by_item(evaluated: Path) -> None:
    app = pressed(shown(runs, folder=str(evaluated)), "Open")
    assert headings(app) == ["Baseline and amplified", "Items"]
    (path,) = evaluated.rglob("results_*.json")
    entry = json.loads(path.read_text())["results"]["sna_math_easy"]
    for name in ("baseline_prob,none", "prob,none"):
        assert f">{pieces.number(entry[name])}<" in texts(app)
    read, save = app.code
    assert read.value == f"sna-eval view {evaluated}"
    assert "--tasks sna_math_easy" in save.value
    (box,) = app.multiselect
    assert box.value == ["sna_math_easy"]


def test_curves_and_factors_by_hand(opened: SweepFolder) -> None:
    """An oracle's curve is marked; shares stand in the table as percentages."""
    curve = ResponseCurve("own_labels", 1, 7, "gold", True, 3, 5, 0.4, (2.0, 4.0), (10.0, -2.5))
    confident = replace(curve, zone=3, n_items=2, points=(0.0, -50.0))
    share = Share("baseline", 0.58, Interval(0.1, 0.9), 0.09)
    factors = Decomposition((share,), 0.42, 12, 5)
    summary = replace(opened.summary, curves=(curve, confident), factors=factors)
    app = shown(runs, opened=(replace(opened, summary=summary), None))
    assert {"Response curves: own labels, gold", "Three factors"} <= set(headings(app))
    said = texts(app)
    assert "An oracle: it knows the right answer. Layer 3, 5 neurons a label" in said
    assert all(f">{cell}<" in said for cell in ("58.0 %", "10.0 % to 90.0 %", "9.0 %", "42.0 %"))
    assert [
        (row["zone"], row["multiplier"], row["points"])
        for row in chart_rows(chart(response.panel(summary.curves)))
        if "points" in row
    ] == [
        ("zone 1", 1.0, 0.0), ("zone 1", 2.0, 10.0), ("zone 1", 4.0, -2.5),
        ("zone 3", 1.0, 0.0), ("zone 3", 2.0, 0.0), ("zone 3", 4.0, -50.0),
    ]  # fmt: skip


def test_two_tasks_have_no_band_of_the_null(opened: SweepFolder) -> None:
    tasks = opened.summary.tasks
    assert any("high" in row for row in chart_rows(chart(baseline.scatter(tasks))))
    two = chart_rows(chart(baseline.scatter(tasks[:2])))
    assert not any("high" in row for row in two)
    shown = {row["task"] for row in two if "task" in row}
    assert shown == {short(task.task) for task in tasks[:2]}
