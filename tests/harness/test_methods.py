"""Every method on bundled tasks through lm_eval, on three shapes: identities and real effects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.values import evidence_of
from sna_eval.intervention import find_sites
from sna_eval.methods import METHODS
from sna_eval.plan import load_plan, plan_fingerprint, save_plan
from tests.harness.conftest import answers, flat_numbers
from tests.methods.conftest import SHAPES, shaped_model

TASK = "sna_math_easy"
FOUND = [name for name, method in METHODS.items() if not method.reads_files]
"""Methods that find something on development items; `tests/export/test_steered.py` has others."""
QUICK = {"steps": 3, "rate": 0.3}


def plan_text(
    method: str, *, gate: str = "always", strength: float = 1.0, multiplier: float = 4.0
) -> str:
    options = QUICK if "steps" in METHODS[method].options else {}
    layer = "" if METHODS[method].select.get("across_layers") else "layer: 1, "
    entry = f"{layer}method: {method}, options: {options}"
    if METHODS[method].chooses_neurons:
        entry += f", multiplier: {multiplier}, select: {{top_k: 5}}"
    else:
        entry += f", strength: {strength}"
    return f"version: 1\ntasks: {{'*': {{gate: {gate}, interventions: [{{{entry}}}]}}}}\n"


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Any:
    return shaped_model(request.param)


@pytest.fixture
def run(evaluate: Any, make_sna: Any, shape: Any, tmp_path: Path) -> Any:
    """Evaluates under a plan given as text; returns its results and the model."""

    def call(text: str) -> Any:
        (tmp_path / "plan.yaml").write_text(text)
        lm = make_sna(shape, plan=str(tmp_path / "plan.yaml"))
        return evaluate(lm, [TASK], limit=4), lm

    return call


@pytest.mark.parametrize("method", FOUND)
def test_every_method_runs_and_its_plan_repeats(
    method: str, run: Any, evaluate: Any, make_sna: Any, shape: Any, tmp_path: Path
) -> None:
    results, lm = run(plan_text(method))
    scores = results["results"][TASK]
    assert scores["delta_prob,none"] != 0.0
    assert scores["amplified_fraction,none"] == 1.0
    resolved = replace(lm.plan, tasks=lm.plans.resolved)
    save_plan(resolved, tmp_path / "resolved.yaml")
    loaded = load_plan(tmp_path / "resolved.yaml")
    assert plan_fingerprint(loaded) == plan_fingerprint(resolved)
    assert loaded == resolved
    again = evaluate(make_sna(shape, plan=str(tmp_path / "resolved.yaml")), [TASK], limit=4)
    assert again["results"] == results["results"]


@pytest.mark.parametrize("method", FOUND)
def test_no_strength_is_the_baseline_to_the_bit(
    method: str, evaluate: Any, make_sna: Any, tmp_path: Path
) -> None:
    (tmp_path / "plan.yaml").write_text(plan_text(method, strength=0.0, multiplier=1.0))
    lm = make_sna(plan=str(tmp_path / "plan.yaml"))
    samples = evaluate(lm, [TASK], limit=2)["samples"][TASK]
    assert [sample["prob"] for sample in samples] == [s["baseline_prob"] for s in samples]
    assert lm.plans.resolved[TASK].resolved


@pytest.mark.parametrize("method", ["temperature", "caa", "ungated"])
def test_a_closed_gate_spares_items(method: str, run: Any) -> None:
    gate = "{signal: max_prob, low: 0.0, high: 0.0}"
    samples = run(plan_text(method, gate=gate))[0]["samples"][TASK]
    same = [sample["prob"] == sample["baseline_prob"] for sample in samples]
    assert all(same) == (method != "ungated")


def test_few_shot_equals_lm_evals_own_prompting(
    run: Any, evaluate: Any, make_hf: Any, shape: Any
) -> None:
    """The same examples, given to lm_eval as its few-shot samples."""
    from lm_eval.evaluator import evaluate as lm_evaluate

    from sna_eval.harness.loading import load_tasks
    from sna_eval.harness.tasks.development import development_docs

    results, lm = run(plan_text("few_shot"))
    numbers = lm.plans.resolved[TASK].interventions[0].found.further["items"]
    (task,) = load_tasks([TASK], only_bundled=True).values()
    docs = [development_docs(task)[number] for number in numbers]
    task.set_config(key="num_fewshot", value=3)
    task.sampler = type("Fixed", (), {"sample": lambda self, n, eval_doc=None: docs})()
    prompted = lm_evaluate(
        lm=make_hf(shape),
        task_dict={"tasks": {TASK: task}, "groups": {}},
        limit=4,
        bootstrap_iters=0,
    )
    got, expected = flat_numbers(answers(results)), flat_numbers(answers(prompted))
    assert got == pytest.approx(expected, abs=1e-5)
    baseline = [sample["baseline_prob"] for sample in results["samples"][TASK]]
    assert baseline != [sample["prob"] for sample in results["samples"][TASK]]


def plain_hooks(model: Any, parameters: Any, method: str) -> list[Any]:
    """What a resolved method does at all positions, in hooks written here alone."""
    sites = find_sites(model)
    values = {
        name: parameter.values
        for name, parameter in parameters.items()
        if not isinstance(parameter, str)
    }
    if method in ("caa", "repe"):
        block = sites.blocks[1]
        return [block.register_forward_hook(lambda m, a, out: out + 0.7 * values["vector"])]
    if method == "temperature":
        temperature = float(values["temperature"]) ** 0.7

        def divide(module: Any, args: Any, output: Any) -> Any:
            output.logits = output.logits / temperature
            return output

        return [model.register_forward_hook(divide)]
    if method == "ia3":
        return [
            sites.projections[layer].register_forward_pre_hook(
                lambda m, args, one=values[f"layer_{layer:03d}"]: (args[0] * (0.3 + 0.7 * one),)
            )
            for layer in (1, 2, 3)
        ]
    outputs = {"attention": sites.attention_outputs, "mlp": sites.mlp_outputs}
    return [
        outputs[name][number + 1].register_forward_hook(
            lambda m, a, out, one=scalar: out * (0.3 + 0.7 * one)
        )
        for name, scalars in values.items()
        for number, scalar in enumerate(scalars)
    ]


@pytest.mark.parametrize("method", ["caa", "repe", "temperature", "ia3", "activscalar"])
def test_scores_equal_lm_evals_own_under_plain_hooks(
    method: str, run: Any, evaluate: Any, make_hf: Any, shape: Any
) -> None:
    text = plan_text(method, strength=0.7).replace("strength", "positions: all, strength")
    results, lm = run(text)
    (entry,) = lm.plans.resolved[TASK].interventions
    handles = plain_hooks(shape, entry.parameters, method)
    expected = evaluate(make_hf(shape), [TASK], limit=4)
    for handle in handles:
        handle.remove()
    got = flat_numbers(answers(results))
    assert got == pytest.approx(flat_numbers(answers(expected)), abs=1e-5)
    plain = evaluate(make_hf(shape), [TASK], limit=4)
    assert got != pytest.approx(flat_numbers(answers(plain)), abs=1e-3)


@pytest.mark.parametrize("method", FOUND)
def test_every_method_runs_on_choices(
    method: str, evaluate: Any, make_sna: Any, tmp_path: Path
) -> None:
    """Four choices of several tokens; those of one document share what is done to it."""
    text = plan_text(method)
    if method == "few_shot":
        text = text.replace("options: {}", "options: {k: 2}")
    (tmp_path / "plan.yaml").write_text(text)
    results = evaluate(make_sna(plan=str(tmp_path / "plan.yaml")), ["own_choices"], limit=3)
    for sample in results["samples"]["own_choices"]:
        scores = [answer[0] for answer in sample["filtered_resps"]]
        evidence = [evidence_of(score) for score in scores]
        assert all(one is not None and one.amplified for one in evidence)
        assert any(
            score != one.baseline for score, one in zip(scores, evidence, strict=True) if one
        )


def test_temperature_changes_no_answer(
    evaluate: Any, make_sna: Any, tmp_path: Path, shared_data: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SNA_EVAL_SST2", str(shared_data / "sst2"))
    text = plan_text("temperature").replace("strength: 1.0", "parameters: {temperature: [2.0]}")
    (tmp_path / "plan.yaml").write_text(text)
    results = evaluate(make_sna(plan=str(tmp_path / "plan.yaml")), ["sna_sst2", TASK], limit=6)
    for sample in results["samples"][TASK]:
        assert sample["prob"] != sample["baseline_prob"]
        assert sample["acc"] == sample["baseline_acc"]


def test_generation_and_rolling_texts(evaluate: Any, make_sna: Any, tmp_path: Path) -> None:
    """What acts inside the model acts there too; examples are lm_eval's own affair."""
    vector = [0.2 * (number % 5) for number in range(32)]
    text = plan_text("caa").replace(
        "strength: 1.0", f"strength: 3.0, parameters: {{vector: {vector}}}"
    )
    (tmp_path / "plan.yaml").write_text(text)
    lm = make_sna(plan=str(tmp_path / "plan.yaml"))
    changed = evaluate(lm, ["own_generation", "own_rolling"])
    plain = evaluate(
        make_sna(layer=1, neurons="1", multiplier=1.0, gate="always"),
        ["own_generation", "own_rolling"],
    )
    for task in ("own_generation", "own_rolling"):
        assert answers(changed)[task] != answers(plain)[task]
    shots = plan_text("few_shot").replace("strength: 1.0", "parameters: {prompt: 'one two '}")
    (tmp_path / "shots.yaml").write_text(shots)
    with pytest.raises(InputError, match="use lm_eval's --num_fewshot for these tasks"):
        evaluate(make_sna(plan=str(tmp_path / "shots.yaml")), ["own_generation"])
    front = plan_text("actadd").replace("strength: 1.0", f"parameters: {{token_000: {vector}}}")
    (tmp_path / "front.yaml").write_text(front)
    evaluate(make_sna(plan=str(tmp_path / "front.yaml")), ["own_generation"])
    with pytest.raises(
        InputError, match="positions: expected `all` for a rolling text, got 'token 0'"
    ):
        evaluate(make_sna(plan=str(tmp_path / "front.yaml")), ["own_rolling"])


def test_few_shot_stands_behind_a_description(
    evaluate: Any, make_sna: Any, make_hf: Any, tmp_path: Path
) -> None:
    """Examples in front of it are nothing that lm_eval would send."""
    from lm_eval.api.instance import Instance

    (tmp_path / "plan.yaml").write_text(plan_text("few_shot"))
    lm = make_sna(plan=str(tmp_path / "plan.yaml"))
    results = evaluate(lm, ["own_described"], limit=3)
    prompt = lm.plans.resolved["own_described"].interventions[0].prompt
    description = "Go on with the text in the way that reads best, and take care to be brief. "
    assert prompt
    assert description not in prompt
    for sample in results["samples"]["own_described"]:
        sent = [argument[0] for argument in sample["arguments"]]
        assert all(text.startswith(description) for text in sent)
        requests = [
            Instance("loglikelihood", {}, (text.replace(description, description + prompt), one), n)
            for n, (text, one) in enumerate(sample["arguments"])
        ]
        expected = make_hf().loglikelihood(requests, disable_tqdm=True)
        assert flat_numbers(sample["resps"]) == pytest.approx(flat_numbers(expected), abs=1e-5)


@pytest.mark.parametrize("method", ["actadd", "temperature", "few_shot"])
def test_methods_that_say_themselves_where_they_act(method: str, run: Any) -> None:
    """`positions` was taken, written into the plan, and did nothing."""
    text = plan_text(method).replace("layer: 1,", "layer: 1, positions: last,")
    with pytest.raises(InputError, match=f"positions: expected no such key with method {method}"):
        run(text)
    run(plan_text(method).replace("layer: 1,", "layer: 1, positions: all,"))
