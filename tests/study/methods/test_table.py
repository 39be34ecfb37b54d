"""The table of methods: rows against runs by hand, resumption, strengths, refusals."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.plan import (
    Plan,
    PlannedIntervention,
    Provenance,
    Selection,
    TaskPlan,
    save_plan,
)
from sna_eval.study.methods import (
    MethodsOptions,
    MethodTable,
    Variant,
    measure_methods,
    parse_variants,
)
from sna_eval.study.methods.evaluating import evaluate
from sna_eval.study.methods.formatting import format_summary, format_table
from sna_eval.study.methods.strength import choose_strength
from sna_eval.study.methods.units import MethodUnits, model_settings

TASKS = ("own_open", "own_labels")
QUICK = MethodsOptions(random_draws=2, draws=200, strengths=(0.5, 4.0))
PLAN = Plan(
    {
        "own_open": TaskPlan(
            Gate("target_prob", 0.01, 0.2, transition="amplify"),
            (PlannedIntervention(1, 6.0, select=Selection(top_k=4)),),
        ),
        "own_labels": TaskPlan(
            Gate("margin", 0.6, 0.95),
            (PlannedIntervention(2, 6.0, select=Selection("contrastive", top_k=4)),),
        ),
    }
)


@pytest.fixture
def planned_lm(lm: Any) -> Any:
    with lm.under(PLAN):
        yield lm


@pytest.fixture(scope="module")
def variants() -> list[Variant]:
    names = ["bottom_neurons", "ungated", "temperature", "caa", "repe", "few_shot"]
    return parse_variants(names, random_draws=2, seed=0)


@pytest.fixture(scope="module")
def table(
    lm: Any, load: Callable[..., dict[str, Any]], variants: list[Variant], tmp_path_factory: Any
) -> tuple[MethodTable, Path]:
    folder = tmp_path_factory.mktemp("methods")
    with lm.under(PLAN):
        found = measure_methods(lm, load(*TASKS), variants, QUICK, output=folder, quiet=True)
    found.save(folder)
    return found, folder


def test_every_method_has_a_row_of_every_task(table: tuple[MethodTable, Path]) -> None:
    found, _ = table
    names = ["sna", "random_neurons", "bottom_neurons", "ungated", "temperature", "caa", "repe",
             "few_shot-1", "few_shot-3", "few_shot-5"]  # fmt: skip
    assert [(row.task, row.method) for row in found.rows] == [(t, n) for t in TASKS for n in names]


def test_rows_say_what_lm_eval_says(
    planned_lm: Any, load: Callable[..., dict[str, Any]], table: tuple[MethodTable, Path]
) -> None:
    """The accuracy of a separate run of lm_eval, and its difference from the unmodified model."""
    from lm_eval.evaluator import evaluate as run

    found, _ = table
    task_dict = {"tasks": load("own_labels"), "groups": {}}
    amplified = run(lm=planned_lm, task_dict=task_dict, bootstrap_iters=0)["results"]
    with planned_lm.under(Plan({})):
        plain = run(lm=planned_lm, task_dict=task_dict, bootstrap_iters=0)["results"]
    (row,) = (own for own in found.rows if (own.task, own.method) == ("own_labels", "sna"))
    assert row.measure == "acc"
    assert row.amplified == pytest.approx(amplified["own_labels"]["acc,none"])
    assert row.baseline == pytest.approx(plain["own_labels"]["acc,none"])
    assert row.gain == pytest.approx(row.amplified - row.baseline)


def test_gains_intervals_and_harm(table: tuple[MethodTable, Path]) -> None:
    found, folder = table
    for row in found.rows:
        if row.method == "random_neurons":
            assert row.over_random == pytest.approx(0.0)
            assert math.isnan(row.p_random)
            continue
        unit = json.loads((folder / "units" / f"{row.task}.{row.method}.json").read_text())
        before, after = np.array(unit["before"]), np.array(unit["after"])
        assert row.gain == pytest.approx((after - before).mean())
        assert row.low <= row.gain + 1e-12
        assert row.high >= row.gain - 1e-12
        drawn = [
            json.loads((folder / "units" / f"{row.task}.random_neurons-{n}.json").read_text())
            for n in (0, 1)
        ]
        gains = [np.mean(own["after"]) - np.mean(own["before"]) for own in drawn]
        assert row.over_random == pytest.approx(row.gain - np.mean(gains))
        assert row.p_random == pytest.approx((1 + sum(g >= row.gain for g in gains)) / 3)
        closed = ~np.array(unit["amplified"])
        assert (before == after)[closed].all()
        confident = np.array(unit["zones"]) == 3
        harm = (np.array(unit["everywhere"]) - before)[confident]
        assert row.n_zone3 == confident.sum()
        if confident.any():
            assert row.harm_zone3 == pytest.approx(harm.mean())
    ungated = {row.task: row for row in found.rows if row.method == "ungated"}
    assert all(row.n_amplified == row.n_items for row in ungated.values())


def test_a_run_goes_on_where_it_was(
    planned_lm: Any, load: Callable[..., dict[str, Any]], table: tuple[MethodTable, Path],
    variants: list[Variant], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    found, folder = table
    lost = folder / "units" / "own_open.caa.json"
    lost.unlink()
    ran: list[str] = []
    from sna_eval.study.methods import running

    def counted(lm: Any, name: str, task: Any, plan: TaskPlan, *, limit: int | None) -> Any:
        ran.append(name)
        return evaluate(lm, name, task, plan, limit=limit)

    monkeypatch.setattr(running, "evaluate", counted)
    again = measure_methods(planned_lm, load(*TASKS), variants, QUICK, output=folder, quiet=True)
    assert ran == ["own_open", "own_open"]  # gated and ungated
    for own, other in zip(again.rows, found.rows, strict=True):
        assert str(replace(own, seconds=0.0)) == str(replace(other, seconds=0.0))


def test_another_way_of_measuring_needs_another_folder(
    planned_lm: Any, load: Callable[..., dict[str, Any]], table: tuple[MethodTable, Path]
) -> None:
    _, folder = table
    with pytest.raises(InputError, match=r"output.limit: expected .*, as .* got 3"):
        measure_methods(
            planned_lm, load(*TASKS), [], replace(QUICK, limit=3), output=folder, quiet=True
        )


def test_units_of_other_versions_are_not_taken(
    planned_lm: Any, load: Callable[..., dict[str, Any]], table: tuple[MethodTable, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from sna_eval.study.methods import running

    _, folder = table
    monkeypatch.setattr(running, "versions", lambda: {"torch": "0"})
    with pytest.raises(InputError, match=r"output.versions.python: expected .*, as"):
        measure_methods(planned_lm, load(*TASKS), [], QUICK, output=folder, quiet=True)


@pytest.mark.parametrize("output_type", ["generate_until", "loglikelihood_rolling"])
def test_texts_are_refused_before_anything_runs(
    planned_lm: Any, load: Callable[..., dict[str, Any]], tmp_path: Path, output_type: str
) -> None:
    """Once all of them were generated, it ended in an assertion."""
    tasks = load("own_open")
    tasks["own_open"].OUTPUT_TYPE = output_type
    with pytest.raises(InputError, match=f"tasks: expected .*log-likelihood, got .*{output_type}"):
        measure_methods(planned_lm, tasks, [], QUICK, output=tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())


def test_units_of_other_items_are_not_taken(
    planned_lm: Any, load: Callable[..., dict[str, Any]], table: tuple[MethodTable, Path],
    variants: list[Variant],
) -> None:  # fmt: skip
    """A task whose YAML was changed since."""
    _, folder = table
    tasks = load("own_labels")
    tasks["own_labels"].config.target_delimiter = " so "
    with pytest.raises(InputError, match=r"output: .*own_labels.sna on its items as they are now"):
        measure_methods(planned_lm, tasks, variants, QUICK, output=folder, quiet=True)


def test_few_shot_examples_are_the_same_in_every_run(
    planned_lm: Any, load: Callable[..., dict[str, Any]]
) -> None:
    """Gated and ungated runs, and random draws, are paired item by item."""
    task = load("own_open")["own_open"]
    task.set_config(key="num_fewshot", value=2)
    plan = TaskPlan(Gate(mode="always"), (PlannedIntervention(1, 4.0, neurons={"": (1, 2)}),))
    first, second = (evaluate(planned_lm, "own_open", task, plan, limit=None) for _ in range(2))
    assert first == second


def test_arguments_in_another_order_are_the_same_study(tmp_path: Path) -> None:
    measured = {"plan_fingerprint": "00", "seed": 0}
    MethodUnits(tmp_path, {**model_settings("pretrained=a,dtype=float32"), **measured})
    MethodUnits(tmp_path, {**model_settings(" dtype=float32, pretrained=a"), **measured})
    with pytest.raises(InputError, match=r"output.model_args.dtype: expected 'float32', as "):
        MethodUnits(tmp_path, {**model_settings("pretrained=a,dtype=float16"), **measured})


def test_settings_of_an_older_table_are_read(tmp_path: Path) -> None:
    """They held the arguments as they were typed."""
    old = {"model": "dtype=float32,pretrained=a", "seed": 0}
    (tmp_path / "settings.json").write_text(json.dumps(old))
    MethodUnits(tmp_path, {**model_settings("pretrained=a,dtype=float32"), "seed": 0})
    with pytest.raises(InputError, match=r"output.model: expected 'a', as .*, got 'b'"):
        MethodUnits(tmp_path, {**model_settings("pretrained=b"), "seed": 0})


def test_files_hold_the_rows(table: tuple[MethodTable, Path]) -> None:
    found, folder = table
    parquet = pd.read_parquet(folder / "methods.parquet")
    assert list(parquet["gain"]) == [row.gain for row in found.rows]
    assert list(pd.read_csv(folder / "methods.csv")["method"]) == [r.method for r in found.rows]
    raw = json.loads((folder / "methods.json").read_text())
    assert raw["plan_fingerprint"] == found.settings["plan_fingerprint"]
    assert len(raw["rows"]) == len(found.rows)
    text = format_table(found)
    assert "own_labels: acc" in text
    assert "mean over tasks" in text
    assert format_summary(found).count("\n") == 1 + 10


def test_no_harm_is_told_where_no_item_is_in_zone_3(table: tuple[MethodTable, Path]) -> None:
    """The table said `+nan`."""
    found, _ = table
    rows = [replace(row, harm_zone3=math.nan, n_zone3=0) for row in found.rows]
    none = replace(found, rows=tuple(rows))
    assert any(not math.isnan(row.harm_zone3) for row in found.rows)
    assert "nan" not in format_table(none) + format_summary(none)
    line = format_summary(none).splitlines()[-1]
    assert line.split("|")[-3].strip() == ""


def test_the_strength_with_the_largest_gain_is_taken(
    planned_lm: Any, load: Callable[..., dict[str, Any]]
) -> None:
    """Against every strength run through lm_eval with the development items as its test split."""
    from sna_eval.harness.tasks.live_tasks import examples_of
    from sna_eval.methods import Workbench
    from sna_eval.plan import resolve_task

    (task,) = load("own_open").values()
    bench = Workbench(planned_lm.model, planned_lm.sites, planned_lm.tok_encode)
    base = PLAN.tasks["own_open"]
    plan = resolve_task(
        Variant("caa", "caa").plan(base), bench, lambda most: examples_of(task, most)
    )
    strengths = (-2.0, 0.25, 1.0, 8.0)
    chosen = choose_strength(planned_lm, task, plan, strengths)
    task.set_config("test_split", "validation")
    gains = []
    for strength in strengths:
        entries = tuple(replace(own, strength=strength) for own in plan.interventions)
        outcome = evaluate(
            planned_lm, "own_open", task, replace(plan, interventions=entries), limit=None
        )
        gains.append(np.mean(outcome.after) - np.mean(outcome.before))
    task.set_config("test_split", "test")
    assert chosen.strength == strengths[int(np.argmax(gains))]
    assert chosen.gain == pytest.approx(max(gains), abs=1e-6)


def test_variants_take_over_what_the_plan_says() -> None:
    gate = Gate("margin", 0.2, 0.4)
    labels = {"no": (1, 2), "yes": (3,)}
    last = Provenance(pooling="last")
    base = TaskPlan(
        gate, (PlannedIntervention(3, 2.0, direction="predicted", neurons=labels),
               PlannedIntervention(1, 4.0, neurons={"": (7, 8, 9)}, found=last))
    )  # fmt: skip
    drawn = Variant("r", "random_neurons", {"seed": 4}).plan(base)
    assert drawn.gate == gate
    first, second = drawn.interventions
    assert (first.select, first.multiplier, first.direction) == (
        Selection("contrastive", top_k=2), 2.0, "predicted",
    )  # fmt: skip
    assert second.select == Selection("differential", top_k=3, pooling="last", sinks="keep")
    swept = Provenance(method="attribution", pooling="last")
    ranked = PlannedIntervention(1, 4.0, neurons={"": (7, 8)}, found=swept)
    drawn_at_random = PlannedIntervention(1, 4.0, select=Selection("random", top_k=4, seed=1))
    controls = Variant("b", "bottom_neurons").plan(TaskPlan(gate, (ranked, drawn_at_random)))
    assert [own.select for own in controls.interventions] == [
        Selection("attribution", top_k=2, sinks="keep"), Selection("differential", top_k=4),
    ]  # fmt: skip
    assert dict(second.options) == {"seed": 4}
    (vector,) = Variant("caa", "caa").plan(base).interventions
    assert (vector.layer, vector.positions) == (1, "continuation")
    assert Variant("sna", "sna").plan(base) is base
    assert Variant("ungated", "ungated").plan(base).gate.mode == "always"


def test_impossible_requests(planned_lm: Any, load: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="method: expected one of sna, "):
        parse_variants(["magic"], random_draws=1, seed=0)
    assert len(parse_variants(["all"], random_draws=5, seed=0)) == 5 + 3 + 10
    with pytest.raises(InputError, match="plan: expected an intervention for task own_choices"):
        measure_methods(planned_lm, load("own_choices"), [], QUICK)
    caa = PlannedIntervention(1, method="caa")
    with pytest.raises(InputError, match="expected an intervention on chosen neurons"):
        Variant("ia3", "ia3").plan(TaskPlan(Gate(), (caa,)))
    for wrong, message in (
        ({"limit": 0}, "limit: expected at least 1"),
        ({"random_draws": 0}, "random_draws: expected at least 1"),
        ({"strengths": ()}, "strengths: expected at least one number"),
    ):
        with pytest.raises(InputError, match=message):
            MethodsOptions(**wrong)


def test_the_command_writes_and_prints_the_table(
    checkpoint: Path, own_tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_plan(Plan({"own_open": PLAN.tasks["own_open"]}), tmp_path / "plan.yaml")
    arguments = ["methods", "--tasks", "own_open", "--methods", "temperature", "--draws", "100"]
    arguments += ["--model_args", f"pretrained={checkpoint}", "--include_path", str(own_tasks)]
    arguments += ["--plan", str(tmp_path / "plan.yaml"), "--random_draws", "1"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "own_open: prob" in said
    assert said.strip().splitlines()[-1].startswith(f"{tmp_path / 'out' / 'methods.json'}: 3 rows")
    raw = json.loads((tmp_path / "out" / "methods.json").read_text())
    assert (raw["model"], raw["model_args"]) == (str(checkpoint), {"pretrained": str(checkpoint)})
    assert (tmp_path / "out" / "methods.md").read_text().startswith("| method | own_open |")
    assert main([*arguments, "--output", str(tmp_path / "out"), "--limit", "0"]) == 2
    assert "limit: expected at least 1, got 0" in capsys.readouterr().err
