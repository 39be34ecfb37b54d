"""Methods on tasks that generate text: rows against runs of lm_eval, search, chance, refusals."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.loading import load_tasks
from sna_eval.harness.tasks.contexts import TaskArguments
from sna_eval.plan import (
    Plan,
    PlannedIntervention,
    Selection,
    TaskPlan,
    plain_interventions,
    save_plan,
)
from sna_eval.study.methods import MethodsOptions, MethodTable, measure_methods, parse_variants
from sna_eval.study.methods.formatting import format_summary, format_table
from sna_eval.study.methods.text_methods import TextMethods
from sna_eval.study.methods.variants import SEARCHED, Variant
from tests.study.methods.pushes import mean_push

NAME = "own_texts"
YAML = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {test}, validation: {dev}}}}}
output_type: generate_until
test_split: test
{validation}
doc_to_text: "{{{{text}}}}"
doc_to_target: ""
generation_kwargs: {{until: [], max_gen_toks: 6{drawn}}}
process_results: !function rules.{rule}
metric_list: [{metrics}]
"""
RULES = """
def judged(doc, results):
    text = results[0]
    share = sum(letter in "aeiou" for letter in text) / max(1, len(text))
    kl = getattr(text, "kl", None)
    return {"vowels": share, "letters": float(len(text)), "kl_from_baseline": kl}

def pairs(doc, results):
    return {"vowels": (doc["text"], results[0])}

"""
VOWELS = "{metric: vowels, aggregation: mean, higher_is_better: true}"
LETTERS = "{metric: letters, aggregation: mean, higher_is_better: true}"
KL = (
    "{metric: kl_from_baseline, aggregation: !function sna_eval.harness.metrics.scored_mean, "
    "higher_is_better: false}"
)
QUICK = MethodsOptions(random_draws=3, draws=200, tried=3)
GATE = Gate("max_prob", 0.05, 0.9)
PLAN = Plan({"own_*": TaskPlan(GATE, (PlannedIntervention(1, 8.0, select=Selection(top_k=6)),))})
METHODS = ["sna", "sna_searched", "random_neurons", "bottom_neurons", "other_layer", "ungated",
           "cna", "actadd"]  # fmt: skip


@pytest.fixture(scope="module")
def folder(own_tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tasks of generated text on the user's documents, judged by rules of their own."""
    path = tmp_path_factory.mktemp("texts")
    (path / "rules.py").write_text(RULES)
    test, dev = own_tasks / "test.jsonl", own_tasks / "dev.jsonl"
    both, usual = "validation_split: validation", f"{VOWELS}, {LETTERS}, {KL}"
    lower = VOWELS.replace("true", "false")
    for name, given in {
        NAME: {},
        "own_texts_dev": {"test": dev, "dev": test},
        "own_texts_drawn": {"drawn": ", do_sample: true, temperature: 1.0"},
        "own_texts_long": {"metrics": f"{LETTERS}, {VOWELS}, {KL}"},
        "own_texts_alone": {"validation": ""},
        "own_texts_lower": {"metrics": lower},
        "own_texts_pairs": {"rule": "pairs", "metrics": VOWELS},
    }.items():
        values = {"test": test, "dev": dev, "validation": both, "drawn": "", "rule": "judged",
                  "metrics": usual, **given}  # fmt: skip
        (path / f"{name}.yaml").write_text(YAML.format(name=name, **values))
    return path


@pytest.fixture(scope="module")
def load_texts(folder: Path) -> Callable[..., dict[str, Any]]:
    return lambda *names: load_tasks(names or (NAME,), include_path=folder)


@pytest.fixture(scope="module")
def variants() -> list[Variant]:
    return parse_variants(["all"], seed=0)


@pytest.fixture
def planned_lm(lm: Any) -> Any:
    with lm.under(PLAN):
        yield lm


@pytest.fixture(scope="module")
def table(
    lm: Any,
    load_texts: Callable[..., dict[str, Any]],
    variants: list[Variant],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[MethodTable, Path]:
    output = tmp_path_factory.mktemp("methods")
    with lm.under(PLAN):
        found = measure_methods(lm, load_texts(), variants, QUICK, output=output, quiet=True)
    found.save(output)
    return found, output


@pytest.fixture
def measured(planned_lm: Any, load_texts: Callable[..., dict[str, Any]]) -> TextMethods:
    return TextMethods(planned_lm, NAME, load_texts()[NAME], PLAN.tasks["own_*"], QUICK)


def run_by_hand(lm: Any, tasks: dict[str, Any], plan: TaskPlan) -> tuple[Any, list[Any]]:
    """What lm_eval says of the one task under a plan: its results, and a sample a document."""
    from lm_eval.evaluator import evaluate

    (name,) = tasks
    with lm.under(Plan({name: plan})):
        told = evaluate(lm=lm, task_dict={"tasks": tasks, "groups": {}}, bootstrap_iters=0)
    assert told is not None
    return told["results"][name], sorted(told["samples"][name], key=lambda one: one["doc_id"])


def unit(output: Path, label: str) -> Any:
    return json.loads((output / "units" / f"{NAME}.{label}.json").read_text())


def test_rows_are_those_that_need_no_right_answers(table: tuple[MethodTable, Path]) -> None:
    found, _ = table
    assert [row.method for row in found.rows] == METHODS
    assert {row.measure for row in found.rows} == {"vowels"}
    assert all(math.isnan(row.specific) for row in found.rows)
    assert any(row.gain != 0 for row in found.rows)


def test_every_row_tries_as_many_configurations(table: tuple[MethodTable, Path]) -> None:
    found, output = table
    tried = {row.method: row.tried for row in found.rows}
    assert tried == {
        "sna": 0, "ungated": 0, "cna": 2, "actadd": 2,
        **dict.fromkeys(METHODS[1:5], QUICK.tried),
    }  # fmt: skip
    draws = [unit(output, f"random_neurons-{draw}") for draw in range(QUICK.random_draws)]
    assert {draw["tried"] for draw in draws} == {QUICK.tried}
    assert len({draw["fingerprint"] for draw in draws}) == QUICK.random_draws


@pytest.mark.parametrize("label", ["sna", "sna_searched", "other_layer", "ungated", "actadd"])
def test_rows_say_what_lm_eval_says(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]], measured: TextMethods,
    table: tuple[MethodTable, Path], variants: list[Variant], label: str,
) -> None:  # fmt: skip
    """Of a run under the same plan, that generates both texts and asks every metric."""
    found, output = table
    (variant,) = (variant for variant in variants if variant.label == label)
    results, samples = run_by_hand(planned_lm, load_texts(), measured.plan_of(variant))
    (row,) = (row for row in found.rows if row.method == label)
    kept = unit(output, label)
    assert row.amplified == pytest.approx(results["vowels,none"], abs=1e-12)
    assert row.baseline == pytest.approx(results["baseline_vowels,none"], abs=1e-12)
    assert row.gain == pytest.approx(row.amplified - row.baseline)
    assert kept["after"] == pytest.approx([one["vowels"] for one in samples])
    assert kept["before"] == pytest.approx([one["baseline_vowels"] for one in samples])
    assert kept["zones"] == [one["zone"] for one in samples]
    assert kept["amplified"] == [bool(one["decision"]) for one in samples]
    if label != "ungated":
        assert 0 < row.n_amplified < row.n_items


def test_harm_is_that_of_the_gate_held_open(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]], table: tuple[MethodTable, Path],
    measured: TextMethods,
) -> None:  # fmt: skip
    _, output = table
    always = replace(measured.base, gate=replace(GATE, mode="always"))
    _, samples = run_by_hand(planned_lm, load_texts(), always)
    kept = unit(output, "sna")
    assert kept["everywhere"] == pytest.approx([one["vowels"] for one in samples])
    assert kept["everywhere"] == unit(output, "ungated")["after"]


def test_the_drawn_configuration_that_gains_most_is_taken(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]], measured: TextMethods
) -> None:
    """Each by a run of lm_eval on the development documents, behind the gate."""
    gains = {}
    for cell in measured.drawn[: QUICK.tried]:
        neurons = measured.profile[cell.layer][""].first(cell.n_neurons).neurons
        entry = PlannedIntervention(cell.layer, cell.multiplier, neurons={"": neurons})
        plan = TaskPlan(GATE, (entry,))
        results, _ = run_by_hand(planned_lm, load_texts("own_texts_dev"), plan)
        gains[cell.layer, neurons] = results["vowels,none"] - results["baseline_vowels,none"]
    (chosen,) = measured.plan_of(Variant(SEARCHED, "sna")).interventions
    assert len(set(gains.values())) == QUICK.tried
    assert chosen.neurons is not None
    assert (chosen.layer, chosen.neurons[""]) == max(gains, key=lambda key: gains[key])


def test_every_ranking_tries_the_same_cells(measured: TextMethods) -> None:
    """Each once, from the whole grid, by a seed."""
    assert len(set(measured.drawn)) == len(measured.drawn) == len(measured.grid)
    again = TextMethods(measured._lm, NAME, measured._task, measured._given, replace(QUICK, seed=1))
    assert set(again.drawn) == set(measured.drawn)
    assert again.drawn != measured.drawn


@pytest.mark.parametrize("label", [SEARCHED, "cna"])
def test_what_is_chosen_pushes_as_far_as_the_plan(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]], variants: list[Variant], label: str
) -> None:
    """By plain passes over the development prompts."""
    (variant,) = (variant for variant in variants if variant.label == label)
    (entry,) = PLAN.tasks["own_*"].interventions
    gentle = replace(PLAN.tasks["own_*"], interventions=(replace(entry, multiplier=1.6),))
    measured = TextMethods(planned_lm, NAME, load_texts()[NAME], gentle, QUICK)
    prompts = [planned_lm.tok_encode(json.loads(line)["text"]) for line in _lines(measured)]
    pushes = [
        mean_push(planned_lm, prompts, plain_interventions(plan))
        for plan in (measured.base, measured.plan_of(variant))
    ]
    assert pushes[1] == pytest.approx(pushes[0], rel=0.06)


def _lines(measured: TextMethods) -> list[str]:
    (path,) = measured._task.config.dataset_kwargs["data_files"]["validation"].split()
    return Path(path).read_text().splitlines()


def test_chance_is_by_the_gain_among_random_rankings(table: tuple[MethodTable, Path]) -> None:
    found, output = table

    def gain(label: str) -> float:
        kept = unit(output, label)
        return float(np.mean(kept["after"]) - np.mean(kept["before"]))

    randoms = [gain(f"random_neurons-{draw}") for draw in range(QUICK.random_draws)]
    for row in found.rows:
        assert row.over_random == pytest.approx(row.gain - np.mean(randoms))
        if row.method == "random_neurons":
            assert math.isnan(row.p_random)
            continue
        as_large = sum(random >= gain(row.method) for random in randoms)
        assert row.p_random == pytest.approx((1 + as_large) / (1 + QUICK.random_draws))


def test_a_run_goes_on_where_it_was(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]], table: tuple[MethodTable, Path],
    variants: list[Variant], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The unmodified model's texts are kept: one random ranking costs its own texts alone."""
    found, output = table
    (output / "units" / f"{NAME}.random_neurons-1.json").unlink()
    asked: list[int] = []
    generate = type(planned_lm).generate_until

    def counted(self: Any, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        asked.append(len(requests))
        texts: list[str] = generate(self, requests, disable_tqdm=disable_tqdm)
        return texts

    monkeypatch.setattr(type(planned_lm), "generate_until", counted)
    again = measure_methods(planned_lm, load_texts(), variants, QUICK, output=output, quiet=True)
    opened = sum(
        json.loads((output / "texts" / f"{NAME}.development.json").read_text())["amplified"]
    )
    assert 0 < opened < 6
    assert asked == [opened] * QUICK.tried + [6]  # behind the gate to choose, all of the test's
    for row, other in zip(again.rows, found.rows, strict=True):
        assert str(replace(row, seconds=0.0)) == str(replace(other, seconds=0.0))


def test_the_unmodified_model_writes_once_and_no_other_metric_is_measured(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kl_from_baseline` would cost two passes over every text."""
    from sna_eval.study.methods import text_scores

    plans: list[TaskPlan] = []
    under = text_scores.samples_under

    def counted(lm: Any, name: str, task: Any, plan: TaskPlan, **settings: Any) -> Any:
        plans.append(plan)
        return under(lm, name, task, plan, **settings)

    def never(*_: Any) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(text_scores, "samples_under", counted)
    monkeypatch.setattr(type(planned_lm), "_divergences", never)
    chosen = parse_variants(["ungated", "bottom_neurons"], seed=0)
    measure_methods(planned_lm, load_texts(), chosen, replace(QUICK, random_draws=1), quiet=True)
    assert sum(not plan.interventions for plan in plans) == 2  # development and test documents
    assert len(plans) == 2 + 1 + 3 * (QUICK.tried + 1)  # the ungated plan's texts are the plan's


def test_a_limit_holds_for_both_kinds_of_documents_evenly_from_the_split(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]]
) -> None:
    options = replace(QUICK, limit=2)
    limited = TextMethods(planned_lm, NAME, load_texts()[NAME], PLAN.tasks["own_*"], options)
    every = TextMethods(planned_lm, NAME, load_texts()[NAME], PLAN.tasks["own_*"], QUICK)
    for some, full in ((limited.test, every.test), (limited.development, every.development)):
        assert some.unmodified.scores == pytest.approx(
            [full.unmodified.scores[place] for place in (1, 4)]
        )


def test_drawn_texts_are_drawn_alike(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]]
) -> None:
    """In every run, whatever was drawn before it."""
    name = "own_texts_drawn"
    scores = []
    for _ in range(2):
        torch.rand(3)
        measured = TextMethods(planned_lm, name, load_texts(name)[name], PLAN.tasks["own_*"], QUICK)
        scores.append((measured.test.unmodified, measured.test.scores(measured.base).tolist()))
    assert scores[0] == scores[1]


def test_neurons_of_all_layers_are_set_beside_random_ones_of_the_same_layers(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]]
) -> None:
    entry = PlannedIntervention(0, 4.0, method="cna", select=Selection(
        method="absolute", pooling="last", across_layers=True, share=0.02, top_k=None))  # fmt: skip
    plan = TaskPlan(GATE, (entry,))
    measured = TextMethods(planned_lm, NAME, load_texts()[NAME], plan, QUICK)
    own = {one.layer: set(one.neurons[""]) for one in measured.base.interventions if one.neurons}
    drawn, _, tried = measured._random(0, "")
    assert tried == QUICK.tried
    assert {one.layer for one in drawn.interventions} == set(own)
    for one in drawn.interventions:
        assert one.neurons is not None
        assert len(one.neurons[""]) == len(own[one.layer])
        assert own[one.layer].isdisjoint(one.neurons[""])


def test_scores_beyond_one_are_shown_as_they_are(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]]
) -> None:
    name = "own_texts_long"
    few = replace(QUICK, random_draws=1, tried=1)
    found = measure_methods(
        planned_lm, load_texts(name), parse_variants([], seed=0), few, quiet=True
    )
    first = found.rows[0]
    assert (first.measure, first.scale) == ("letters", 1.0)
    assert f"{name}: letters {first.baseline:.2f} on 6 items" in format_table(found)
    summary = next(line for line in format_summary(found).splitlines() if "| sna |" in line)
    assert f"| {first.gain:+.2f}" in summary
    assert summary.split("|")[3].strip() == ""  # no mean in points


@pytest.mark.parametrize(
    ("name", "gate", "message"),
    [
        ("own_texts_alone", GATE, "expected development items .*, got 'none'"),
        ("own_texts_lower", GATE, "tasks: expected a first metric of .* of which more is better"),
        (NAME, Gate("margin", 0.3, 0.6), "gate.signal: expected .* for generated text"),
        ("own_texts_pairs", GATE, "tasks: expected a first metric of .* a number of each text"),
    ],
)
def test_what_cannot_be_paired_is_refused(
    lm: Any, load_texts: Callable[..., dict[str, Any]], name: str, gate: Gate, message: str
) -> None:
    plan = TaskPlan(gate, (PlannedIntervention(1, 8.0, neurons={"": (1, 2)}),))
    with lm.under(Plan({name: plan})), pytest.raises(InputError, match=message):
        measure_methods(lm, load_texts(name), parse_variants([], seed=0), QUICK, quiet=True)


def test_a_gate_that_decides_at_every_token_is_refused(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planned_lm, "decide_at", "every_step")
    with pytest.raises(InputError, match=r"model_args.decide_at: expected start, .*every_step"):
        measure_methods(planned_lm, load_texts(), [], QUICK, quiet=True)


def test_texts_that_were_kept_for_other_documents_are_not_taken(
    planned_lm: Any, load_texts: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    few = replace(QUICK, random_draws=1, tried=1)
    chosen = parse_variants([], seed=0)
    measure_methods(planned_lm, load_texts(), chosen, few, output=tmp_path, quiet=True)
    for path in (tmp_path / "units").iterdir():
        path.unlink()
    tasks = load_texts()
    tasks[NAME].config.doc_to_text = "So: {{text}}"
    with pytest.raises(InputError, match=r"output: .*own_texts.test on its items as they are now"):
        measure_methods(planned_lm, tasks, chosen, few, output=tmp_path, quiet=True)


def test_the_bundled_instructions_in_a_chat(planned_lm: Any) -> None:
    """Twenty development documents choose, none of which ranks."""
    arguments = TaskArguments(apply_chat_template=False, system_instruction="Do it.")
    tasks = load_tasks(["sna_instruct"], arguments=arguments)
    options = replace(QUICK, limit=4)
    plan = replace(PLAN.tasks["own_*"], gate=Gate("max_prob", 0.05, 0.9))
    task = tasks["sna_instruct"]
    task.set_config("generation_kwargs", {"until": [], "max_gen_toks": 4})
    measured = TextMethods(planned_lm, "sna_instruct", task, plan, options)
    assert measured.test.measure == "followed"
    assert len(measured.test.unmodified.scores) == 4
    ranked = set(measured._examples("ranking").prompts)
    chosen = set(measured._examples("choosing").prompts)
    assert (len(ranked), len(chosen)) == (20, 20)
    assert ranked.isdisjoint(chosen)
    assert all(prompt.startswith("Do it.") for prompt in ranked)


def test_the_command_puts_both_kinds_in_one_table(
    checkpoint: Path, own_tasks: Path, folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    save_plan(PLAN, tmp_path / "plan.yaml")
    both = tmp_path / "both"
    both.mkdir()
    for place in (*own_tasks.iterdir(), *folder.glob("*.py"), folder / f"{NAME}.yaml"):
        (both / place.name).write_text(place.read_text())
    plan = Plan({
        NAME: PLAN.tasks["own_*"],
        "own_open": replace(PLAN.tasks["own_*"], gate=Gate("max_prob", 0.01, 0.2)),
    })  # fmt: skip
    save_plan(plan, tmp_path / "plan.yaml")
    arguments = ["methods", "--tasks", f"own_open,{NAME}", "--methods", "temperature,caa"]
    arguments += ["--model_args", f"pretrained={checkpoint}", "--include_path", str(both)]
    arguments += ["--plan", str(tmp_path / "plan.yaml"), "--random_draws", "1", "--tried", "2"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "own_open: prob" in said.out
    assert f"{NAME}: vowels" in said.out
    note = f"note: temperature, temperature_entropy, caa have no row of {NAME}: a generated text"
    assert said.err.count(note) == 1
    assert "leaves no layer alone" not in said.err
    rows = json.loads((tmp_path / "out" / "methods.json").read_text())["rows"]
    assert {row["measure"] for row in rows} == {"prob", "vowels"}
    assert [row["method"] for row in rows if row["task"] == NAME] == METHODS[:3]
