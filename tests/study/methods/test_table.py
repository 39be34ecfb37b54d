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
import torch

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.tasks.development import examples_of
from sna_eval.intervention import amplify
from sna_eval.measuring.readings import log_likelihoods
from sna_eval.plan import (
    Plan,
    PlannedIntervention,
    Selection,
    TaskPlan,
    plain_interventions,
    resolve_task,
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
from sna_eval.study.methods.strength import choose_configuration
from sna_eval.study.methods.task_methods import TaskMethods
from sna_eval.study.methods.units import MethodUnits, model_settings
from sna_eval.study.methods.variants import EQUAL_ENTROPY
from tests.study.methods.pushes import mean_push

TASKS = ("own_open", "own_labels")
QUICK = MethodsOptions(random_draws=2, draws=200, strengths=(0.5, 4.0, 1.0, 2.0), tried=4)
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
    return parse_variants(names, seed=0)


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
    names = [
        "sna", "sna_searched", "random_neurons", "bottom_neurons", "ungated", "temperature",
        "temperature_entropy", "caa", "repe", "few_shot-1", "few_shot-3", "few_shot-5",
    ]  # fmt: skip
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
    (row,) = (row for row in found.rows if (row.task, row.method) == ("own_labels", "sna"))
    assert row.measure == "acc"
    assert row.amplified == pytest.approx(amplified["own_labels"]["acc,none"])
    assert row.baseline == pytest.approx(plain["own_labels"]["acc,none"])
    assert row.gain == pytest.approx(row.amplified - row.baseline)


def _draws(folder: Path, task: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The test items and the random rankings of a task, as they are kept."""
    kept = folder / "nulls" / task
    lines = (kept / "draws.jsonl").read_text().splitlines()
    return json.loads((kept / "claim.json").read_text())["items"], [json.loads(n) for n in lines]


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
        closed = ~np.array(unit["amplified"])
        assert (before == after)[closed].all()
        confident = np.array(unit["zones"]) == 3
        harm = (np.array(unit["everywhere"]) - before)[confident]
        assert row.n_zone3 == confident.sum()
        if confident.any():
            assert row.harm_zone3 == pytest.approx(harm.mean())
    ungated = {row.task: row for row in found.rows if row.method == "ungated"}
    assert all(row.n_amplified == row.n_items for row in ungated.values())


def test_over_searched_random_rankings(table: tuple[MethodTable, Path]) -> None:
    """Each random ranking chose its own configuration, and p is of specific gains."""
    found, folder = table
    for row in found.rows:
        items, draws = _draws(folder, row.task)
        opened = np.array(items["opened"])
        assert len(draws) == QUICK.random_draws
        reached = [draw for draw in draws if draw["push_reached"]]
        assert all(one["kl"] == pytest.approx(one["kl_wanted"], rel=0.06) for one in reached)
        if row.method == "random_neurons":
            continue
        unit = json.loads((folder / "units" / f"{row.task}.{row.method}.json").read_text())
        if row.method.startswith("few_shot"):
            assert math.isnan(row.specific)
            assert math.isnan(row.p_random)
            continue
        specific = float((np.array(unit["specific"]) * np.array(unit["amplified"])).mean())
        gains = [float((np.array(draw["specific"]) * opened).mean()) for draw in draws]
        assert row.specific == pytest.approx(specific)
        as_large = sum(gain >= specific for gain in gains)
        assert row.p_random == pytest.approx((1 + as_large) / (1 + len(draws)))
        if row.measure == "prob":
            before = np.exp(items["baseline"]["log_prob"])
            after = [np.exp(draw["after"]["log_prob"]) for draw in draws]
            randoms = [((value - before) * opened).mean() for value in after]
            assert row.over_random == pytest.approx(row.gain - np.mean(randoms), abs=1e-7)


def test_every_method_tries_as_many_configurations(table: tuple[MethodTable, Path]) -> None:
    """Before, amplification came from a sweep, steering vectors from six, the others from one."""
    found, _ = table
    tried = {row.method: row.tried for row in found.rows}
    for searched in ("sna_searched", "bottom_neurons", "temperature", "caa", "repe"):
        assert tried[searched] == QUICK.tried == 4
    assert tried["sna"] == 0


def test_cna_pushes_as_far_as_the_plan(
    planned_lm: Any, load: Callable[..., dict[str, Any]]
) -> None:
    """By plain passes over the choosing items, at whatever multiplier that takes."""
    (task,) = load("own_open").values()
    (entry,) = PLAN.tasks["own_open"].interventions
    gentle = replace(PLAN.tasks["own_open"], interventions=(replace(entry, multiplier=1.6),))
    measure = TaskMethods(planned_lm, "own_open", task, gentle, QUICK, None, quiet=True)
    entries = measure.plan_of(Variant("cna", "cna")).interventions
    assert {entry.found.by for entry in entries if entry.found} == {"cna"}
    assert len({entry.multiplier for entry in entries}) == 1
    prompts = [item.requests[0].context for item in measure.search.choosing.answers.items.items]
    pushes = [
        mean_push(planned_lm, prompts, acting)
        for acting in (measure.search.together, plain_interventions(TaskPlan(Gate(), entries)))
    ]
    assert pushes[1] == pytest.approx(pushes[0], rel=0.06)
    assert entries[0].multiplier not in measure.search.grid.multipliers


def test_equal_entropy(
    planned_lm: Any, load: Callable[..., dict[str, Any]], table: tuple[MethodTable, Path]
) -> None:
    """The temperature leaves the model as undecided as the plan does, by plain passes."""
    (task,) = load("own_open").values()
    measure = TaskMethods(
        planned_lm, "own_open", task, PLAN.tasks["own_open"], QUICK, None, quiet=True
    )
    (scaling,) = plain_interventions(measure.plan_of(Variant(EQUAL_ENTROPY, "temperature")))
    wanted, found = [], []
    for item in measure.search.choosing.answers.items.items:
        ids = torch.tensor([item.requests[0].context])
        with torch.no_grad():
            logits = planned_lm.model(ids).logits[0, -1].double()
            with amplify(planned_lm.model, measure.search.together, sites=planned_lm.sites):
                changed = planned_lm.model(ids).logits[0, -1].double()
        wanted.append(torch.distributions.Categorical(logits=changed).entropy())
        scaled = scaling.transform(logits)
        found.append(torch.distributions.Categorical(logits=scaled).entropy())
    assert float(torch.stack(found).mean()) == pytest.approx(
        float(torch.stack(wanted).mean()), abs=1e-4
    )


def test_gains_behind_a_gate_that_sees_the_answer_are_descriptive(
    table: tuple[MethodTable, Path],
) -> None:
    found, folder = table
    assert {row.task: row.descriptive for row in found.rows} == {
        "own_open": True, "own_labels": False,
    }  # fmt: skip
    assert format_table(found).count("gains are descriptive") == 1
    summary = format_summary(found)
    assert "† gains are descriptive" in summary
    rows = json.loads((folder / "methods.json").read_text())["rows"]
    assert {row["task"] for row in rows if row["descriptive"]} == {"own_open"}


def test_a_run_goes_on_where_it_was(
    planned_lm: Any, load: Callable[..., dict[str, Any]], table: tuple[MethodTable, Path],
    variants: list[Variant], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    found, folder = table
    lost = folder / "units" / "own_open.caa.json"
    lost.unlink()
    ran: list[str] = []
    from sna_eval.study.methods import task_methods

    def counted(lm: Any, name: str, task: Any, plan: TaskPlan, **settings: Any) -> Any:
        ran.append(name)
        return evaluate(lm, name, task, plan, **settings)

    monkeypatch.setattr(task_methods, "evaluate", counted)
    again = measure_methods(planned_lm, load(*TASKS), variants, QUICK, output=folder, quiet=True)
    assert ran == ["own_open", "own_open"]  # gated and ungated
    for row, other in zip(again.rows, found.rows, strict=True):
        assert str(replace(row, seconds=0.0)) == str(replace(other, seconds=0.0))


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


def test_rolling_texts_are_refused_before_anything_runs(
    planned_lm: Any, load: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    tasks = load("own_open")
    tasks["own_open"].OUTPUT_TYPE = "loglikelihood_rolling"
    with pytest.raises(InputError, match=r"tasks: expected .*log-likelihood, or .*_rolling"):
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
    assert format_summary(found).count("\n") == 1 + 12 + 2


def test_no_harm_is_told_where_no_item_is_in_zone_3(table: tuple[MethodTable, Path]) -> None:
    """The table said `+nan`."""
    found, _ = table
    rows = [replace(row, harm_zone3=math.nan, n_zone3=0) for row in found.rows]
    none = replace(found, rows=tuple(rows))
    assert any(not math.isnan(row.harm_zone3) for row in found.rows)
    assert "nan" not in format_table(none) + format_summary(none)
    line = next(line for line in format_summary(none).splitlines() if "few_shot-5" in line)
    assert line.split("|")[-3].strip() == ""


def test_the_configuration_with_the_largest_gain_is_taken(
    planned_lm: Any, load: Callable[..., dict[str, Any]]
) -> None:
    """Against every configuration measured by itself; the gate opens for some items only."""
    (task,) = load("own_open").values()
    base = PLAN.tasks["own_open"]
    measure = TaskMethods(planned_lm, "own_open", task, base, QUICK, None, quiet=True)
    choosing = measure.search.choosing
    variant = Variant("caa", "caa")
    plans = [variant.plan(measure.base, layer) for layer in (1, 2)]
    asked = [resolve_task(p, planned_lm.bench, lambda most: examples_of(task)) for p in plans]
    chosen = choose_configuration(choosing, asked, (0.5, 4.0), resolve=lambda plan: plan, tried=4)
    gains = {}
    for plan in asked:
        (entry,) = plan.interventions
        for strength in (0.5, 4.0):
            steered = replace(plan, interventions=(replace(entry, strength=strength),))
            changed = choosing.passes.together(
                choosing.groups, [plain_interventions(steered)], log_likelihoods,
                requests=len(choosing.answers.requests),
            )[0, :, 0]  # fmt: skip
            specific = choosing.specific(changed)
            gains[entry.layer, strength] = float((specific * choosing.opened).mean())
    (entry,) = chosen.plan.interventions
    assert chosen.tried == 4
    assert (entry.layer, entry.strength) == max(gains, key=lambda key: gains[key])
    assert chosen.gain == pytest.approx(max(gains.values()), abs=1e-6)


def test_variants_take_over_what_the_plan_says() -> None:
    gate = Gate("margin", 0.2, 0.4)
    base = TaskPlan(
        gate, (PlannedIntervention(3, 2.0, direction="predicted", neurons={"no": (1, 2)}),
               PlannedIntervention(1, 4.0, neurons={"": (7, 8, 9)}))
    )  # fmt: skip
    (vector,) = Variant("caa", "caa").plan(base).interventions
    assert (vector.layer, vector.positions) == (1, "continuation")
    (elsewhere,) = Variant("caa", "caa").plan(base, 2).interventions
    assert elsewhere.layer == 2
    assert Variant("caa", "caa").plan(base).gate == gate
    assert Variant("sna", "sna").plan(base) is base
    assert Variant("ungated", "ungated").plan(base).gate.mode == "always"


def test_impossible_requests(planned_lm: Any, load: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="method: expected one of sna, "):
        parse_variants(["magic"], seed=0)
    assert len(parse_variants(["all"], seed=0)) == 13 + 1 + 1 + 2
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
    assert said.strip().splitlines()[-1].startswith(f"{tmp_path / 'out' / 'methods.json'}: 5 rows")
    raw = json.loads((tmp_path / "out" / "methods.json").read_text())
    assert (raw["model"], raw["model_args"]) == (str(checkpoint), {"pretrained": str(checkpoint)})
    assert (tmp_path / "out" / "methods.md").read_text().startswith("| method | own_open |")
    assert main([*arguments, "--output", str(tmp_path / "out"), "--limit", "0"]) == 2
    assert "limit: expected at least 1, got 0" in capsys.readouterr().err
