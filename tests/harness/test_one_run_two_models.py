"""What may come between a task and its two sets of metrics, on a tiny model."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lm_eval.api.metrics
import numpy as np
import pytest
import torch
from lm_eval.filters import build_filter_ensemble

from sna_eval.errors import InputError
from sna_eval.files import tasks_path
from sna_eval.harness.plugin.both_answers import report_both

ALWAYS = {"layer": 1, "neurons": "1;5;31", "multiplier": 9.0, "gate": "always"}
Tasks = Callable[..., dict[str, Any]]


@pytest.fixture
def load(own_tasks: Path) -> Tasks:
    """Tasks by name, loaded anew."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=[tasks_path(), own_tasks], include_defaults=False)

    def call(*names: str) -> dict[str, Any]:
        loaded: dict[str, Any] = manager.load(list(names))
        for task in loaded["tasks"].values():
            task.set_fewshot_seed(1234)
        return loaded

    return call


def run(lm: Any, loaded: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    from lm_eval.evaluator import evaluate

    results: dict[str, Any] = evaluate(lm, loaded, **{"bootstrap_iters": 0, **arguments})
    return results


def judged_by(task: Any, judge: Callable[[Any, Any], dict[str, Any]]) -> None:
    """Another `process_results` for a task, as a YAML file names one."""
    task.set_config("process_results", judge)


@pytest.mark.parametrize("name", ["own_choices", "own_generation", "own_rolling"])
def test_an_exception_in_a_tasks_code_leaves_nothing(
    load: Tasks, make_sna: Any, make_hf: Any, name: str
) -> None:
    loaded = load(name)
    task = loaded["tasks"][name]
    before, asked = dict(vars(task)), []

    def breaks(doc: Any, results: Any) -> dict[str, Any]:
        asked.append(doc)
        raise ZeroDivisionError("a task's own fault")

    judged_by(task, breaks)
    with pytest.raises(ZeroDivisionError, match="own fault") as kept:
        run(make_sna(**ALWAYS), loaded)
    assert asked, "its code was reached"
    judged_by(task, None)  # type: ignore[arg-type]
    assert {key: var for key, var in vars(task).items() if key != "_instances"} == {
        key: one for key, one in before.items() if key != "_instances"
    }
    plain = run(make_hf(), loaded)  # while the traceback still holds the run that broke
    assert kept.value
    assert not [key for key in plain["results"][name] if "baseline" in key]


def test_an_exception_while_groups_aggregate(load: Tasks, make_sna: Any, own_tasks: Path) -> None:
    from lm_eval.api.group import Group
    from lm_eval.config.group import AggMetricConfig

    loaded = load("own_choices")
    listed = [AggMetricConfig("acc")]
    group = Group("around", aggregate_metric_list=listed)
    group.add(loaded["tasks"]["own_choices"])
    loaded["groups"] = {"around": group}

    def breaks(values: Any) -> float:
        names.append([one.metric for one in group.aggregate_metric_list or []])
        raise ZeroDivisionError("an aggregation's fault")

    names: list[list[str]] = []
    aggregations = loaded["tasks"]["own_choices"]._aggregation_list
    usual, aggregations["acc"] = aggregations["acc"], breaks
    with pytest.raises(ZeroDivisionError):
        run(make_sna(**ALWAYS), loaded)
    assert names == [["acc"]]
    assert group.aggregate_metric_list is listed
    aggregations["acc"] = usual
    results = run(make_sna(**ALWAYS), loaded)["groups"]["around"]
    assert {"acc,none", "baseline_acc,none"} <= set(results)
    assert group.aggregate_metric_list is listed


def test_chosen_documents(load: Tasks, make_sna: Any, make_hf: Any) -> None:
    """`--samples`: lm_eval numbers the chosen ones anew while it judges them."""
    for name in ("own_choices", "own_generation"):
        told = run(make_sna(**ALWAYS), load(name), samples={name: [1, 3]})["samples"][name]
        plain = run(make_hf(), load(name), samples={name: [1, 3]})["samples"][name]
        assert [sample["doc_id"] for sample in told] == [1, 3]
        assert flat([sample["baseline_resps"] for sample in told]) == pytest.approx(
            flat([sample["resps"] for sample in plain])
        )


def flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [one for entry in value for one in flat(entry)]
    return [value if isinstance(value, (int, float)) else hash(value)]


def test_answers_alone(load: Tasks, make_sna: Any, make_hf: Any) -> None:
    """`--predict_only` judges nothing; the samples have both texts."""
    loaded = load("own_generation")
    loaded["tasks"]["own_generation"].override_metric("bypass")
    told = run(make_sna(**ALWAYS), loaded)
    plain = run(make_hf(), loaded)
    assert told["results"]["own_generation"]["baseline_bypass,none"] == 999
    pairs = list(
        zip(told["samples"]["own_generation"], plain["samples"]["own_generation"], strict=True)
    )
    assert all(sample["baseline_resps"] == other["resps"] for sample, other in pairs)
    assert any(sample["resps"] != sample["baseline_resps"] for sample, _ in pairs)


DRAWS: dict[str, Callable[[], float]] = {
    "python": random.random,
    "numpy": np.random.rand,
    "torch": lambda: float(torch.rand(())),
}


@pytest.mark.parametrize("drawn_by", DRAWS)
def test_judges_that_draw_and_change_the_document(
    load: Tasks, make_sna: Any, make_hf: Any, drawn_by: str
) -> None:
    """Each model's answers are judged with the numbers that would be drawn for them alone."""

    def judge(doc: dict[str, Any], results: Any) -> dict[str, Any]:
        text, last = doc.pop("text"), doc["words"].pop()
        drawn = DRAWS[drawn_by]() + (results[0][0] > -1e9)
        return {"drawn": drawn, "letters": len(text), "last": len(last), "left": len(doc["words"])}

    def judged(lm: Any) -> list[dict[str, Any]]:
        loaded = load("own_choices", "own_described")
        for task in loaded["tasks"].values():
            judged_by(task, judge)
            docs = task.dataset["test"]
            words = [text.split() for text in docs["text"]]
            task.dataset["test"] = docs.add_column("words", words)
        random.seed(3)
        np.random.seed(3)
        torch.manual_seed(3)
        results = run(lm, loaded)
        return [one for name in loaded["tasks"] for one in results["samples"][name]]

    told, plain = judged(make_sna(**ALWAYS)), judged(make_hf())
    off = judged(make_sna(**ALWAYS, report_baseline=False))
    assert [sample["baseline_drawn"] for sample in told] == [sample["drawn"] for sample in plain]
    assert [sample["drawn"] for sample in told] == [sample["drawn"] for sample in off]
    for metric in ("letters", "last", "left"):
        assert [sample[f"baseline_{metric}"] for sample in told] == [
            sample[metric] for sample in plain
        ]
    assert len({sample["drawn"] for sample in plain}) == len(plain)


def test_a_metric_of_several_values(load: Tasks, make_sna: Any, make_hf: Any) -> None:
    """lm_eval learns how such values are aggregated when the first of them comes."""

    def lengths(references: Any, predictions: Any) -> dict[str, float]:
        return {"at_1": float(len(predictions[0])), "at_3": float(len(predictions[0]) % 3)}

    def scored(lm: Any) -> dict[str, Any]:
        loaded = load("own_generation")
        task = loaded["tasks"]["own_generation"]
        task._metric_fn_list, task._metric_fn_kwargs = {"lengths": lengths}, {"lengths": {}}
        task._aggregation_list, task._higher_is_better = {"lengths": max}, {"lengths": False}
        return run(lm, loaded)

    told, plain = scored(make_sna(**ALWAYS)), scored(make_hf())
    for name in ("at_1", "at_3"):
        entry = told["results"]["own_generation"]
        assert entry[f"baseline_{name},none"] == plain["results"]["own_generation"][f"{name},none"]
        found = [sample[name] for sample in told["samples"]["own_generation"]]
        assert entry[f"{name},none"] == max(found)
        assert told["higher_is_better"]["own_generation"][f"baseline_{name}"] is False


@pytest.mark.parametrize("kept", [1, 3])
def test_several_texts_of_one_request(load: Tasks, make_sna: Any, make_hf: Any, kept: int) -> None:
    """`repeats: 3`, of which a filter leaves the first or all."""

    def judge(doc: Any, results: Any) -> dict[str, Any]:
        return {"letters": len("".join(results[0]))}

    def judged(lm: Any) -> list[dict[str, Any]]:
        loaded = load("own_generation")
        task = loaded["tasks"]["own_generation"]
        task.set_config("repeats", 3)
        steps = [["take_first_k", {"k": 3}]] if kept == 3 else [["take_first", None]]
        task._filters = [build_filter_ensemble("none", steps)]
        judged_by(task, judge)
        samples: list[dict[str, Any]] = run(lm, loaded)["samples"]["own_generation"]
        return samples

    for sample, other in zip(judged(make_sna(**ALWAYS)), judged(make_hf()), strict=True):
        assert [len(texts) for texts in sample["resps"]] == [3]
        assert sample["baseline_resps"] == other["resps"]
        assert sample["baseline_filtered_resps"] == other["filtered_resps"]
        assert sample["baseline_letters"] == other["letters"]


GROUP = """
group: mixed
task: [own_generation, own_choices, own_rolling]
aggregate_metric_list:
  - {metric: acc, weight_by_size: true}
  - {metric: exact_match, weight_by_size: false}
  - {metric: word_perplexity}
"""


def test_groups_of_tasks_with_other_metrics(
    make_sna: Any, make_hf: Any, own_tasks: Path, tmp_path: Path
) -> None:
    """Each of a group's metrics is of the members that have it, and so is its baseline."""
    from lm_eval.tasks import TaskManager

    (tmp_path / "mixed.yaml").write_text(GROUP)
    manager = TaskManager(include_path=[own_tasks, tmp_path], include_defaults=False)
    told, plain = (run(lm, manager.load(["mixed"])) for lm in (make_sna(**ALWAYS), make_hf()))
    expected = {key: value for key, value in plain["results"]["mixed"].items() if "," in key}
    assert {key.partition(",")[0] for key in expected} >= {"acc", "exact_match", "word_perplexity"}
    for key, value in expected.items():
        found = told["results"]["mixed"][f"baseline_{key}"]
        assert found == value or found == pytest.approx(value, rel=1e-5)


def test_few_bootstrap_samples_of_what_takes_long(
    load: Tasks, make_sna: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """lm_eval bounds them for `bleu` by its name; nobody waits for 100,000 of `baseline_bleu`."""
    asked = []

    def counted(function: Any, values: Any, iters: int) -> float:
        asked.append((function.__name__, iters))
        return 0.25

    monkeypatch.setattr(lm_eval.api.metrics, "bootstrap_stderr", counted)
    loaded = load("own_generation")
    loaded["tasks"]["own_generation"].override_metric("bleu")
    results = run(make_sna(**ALWAYS), loaded, bootstrap_iters=100_000)
    assert asked == [("bleu", 100), ("bleu", 100)]
    told = results["results"]["own_generation"]
    assert told["bleu_stderr,none"] == told["baseline_bleu_stderr,none"] == 0.25
    assert all("baseline_bleu" in one for one in results["samples"]["own_generation"])


def test_metrics_that_compare_have_no_second(load: Tasks, make_sna: Any) -> None:
    results = run(make_sna(**ALWAYS), load("own_metrics", "sna_math_easy"), limit=3)
    for name in ("own_metrics", "sna_math_easy"):
        doubled = [key for key in results["results"][name] if key.startswith("baseline_")]
        names = {key.partition(",")[0].removesuffix("_stderr") for key in doubled}
        assert names == {"baseline_prob", "baseline_acc"}


def test_tasks_that_a_plan_leaves_alone(load: Tasks, make_sna: Any, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "version: 1\ntasks:\n  own_choices: {interventions: "
        "[{layer: 1, multiplier: 9.0, neurons: [1, 5, 31]}], gate: {mode: always}}\n"
    )
    results = run(make_sna(plan=str(plan)), load("own_choices", "own_described", "own_generation"))
    for name in ("own_described", "own_generation"):
        for sample in results["samples"][name]:
            assert sample["zone"] is None
            assert sample["confidence"] is None
            assert sample["decision"] == sample["oracle"] == 0
            assert sample["resps"] == sample["baseline_resps"]
    assert all(own_choice["decision"] for own_choice in results["samples"]["own_choices"])


@pytest.mark.parametrize(("decide_at", "beams"), [("start", 1), ("start", 2), ("every_step", 1)])
def test_texts_however_they_are_generated(
    load: Tasks, make_sna: Any, decide_at: str, beams: int
) -> None:
    """A text that opens at a later step only has a baseline of its own too."""

    def samples(**arguments: Any) -> list[dict[str, Any]]:
        loaded, name = load("own_generation"), "own_generation"
        settings = {"until": ["zzz"], "max_gen_toks": 8, "num_beams": beams}
        loaded["tasks"][name].set_config("generation_kwargs", settings)
        found: list[dict[str, Any]] = run(make_sna(**arguments), loaded)["samples"][name]
        return found

    plain = samples(gate="never")
    low = sorted(sample["confidence"] for sample in samples(**ALWAYS))[2]
    told = samples(**{**ALWAYS, "gate": "max_prob", "low": low, "high": 1.0}, decide_at=decide_at)
    assert [sample["baseline_resps"] for sample in told] == [sample["resps"] for sample in plain]
    changed = [sample for sample in told if sample["resps"] != sample["baseline_resps"]]
    assert changed
    late = [sample for sample in changed if not sample["decision"]]
    assert bool(late) == (decide_at == "every_step")


CHAT = "{% for m in messages %}[{{m.role}}] {{m.content}} {% endfor %}[assistant]"


@pytest.mark.parametrize("multiturn", [False, True])
def test_few_shot_through_a_chat_template(
    load: Tasks, make_sna: Any, make_hf: Any, monkeypatch: pytest.MonkeyPatch, multiturn: bool
) -> None:
    """Examples are turns of a conversation, or stand in one; both models are asked the same."""

    def samples(lm: Any, name: str) -> list[dict[str, Any]]:
        monkeypatch.setattr(lm.tokenizer, "chat_template", CHAT, raising=False)
        loaded = load(name)
        loaded["tasks"][name].set_config("num_fewshot", 2)
        loaded["tasks"][name].set_fewshot_seed(1234)
        said = {
            "apply_chat_template": True, "fewshot_as_multiturn": multiturn,
            "system_instruction": "Be brief.",
        }  # fmt: skip
        found: list[dict[str, Any]] = run(lm, loaded, limit=3, **said)["samples"][name]
        return found

    for name in ("own_choices", "own_generation"):
        told, plain = samples(make_sna(**ALWAYS), name), samples(make_hf(), name)
        prompts = [sample["arguments"][0][0] for sample in told]
        assert prompts == [sample["arguments"][0][0] for sample in plain]
        assert all(prompt.startswith("[system] Be brief. [user]") for prompt in prompts)
        turns = {prompt.count("[user]") for prompt in prompts}
        assert turns == ({3} if multiturn else {1})
        baseline, theirs = ([one[key] for one in side] for side, key in
                            ((told, "baseline_resps"), (plain, "resps")))  # fmt: skip
        assert flat(baseline) == pytest.approx(flat(theirs), abs=1e-5)
        assert flat([sample["resps"] for sample in told]) != flat(baseline)


def test_only_open_requests_are_generated_again(load: Tasks, make_sna: Any) -> None:
    def rows(lm: Any) -> tuple[int, float]:
        """Rows that were generated from, and requests whose gate opened."""
        read, plain = [], lm._model_generate

        def counted(context: Any, *args: Any, **kwargs: Any) -> Any:
            read.append(len(context))
            return plain(context, *args, **kwargs)

        lm._model_generate = counted
        samples = run(lm, load("own_generation"))["samples"]["own_generation"]
        return sum(read), sum(sample.get("decision", 0) for sample in samples)

    always = run(make_sna(**ALWAYS), load("own_generation"))["samples"]["own_generation"]
    low = sorted(alway["confidence"] for alway in always)[2]
    gate = {**ALWAYS, "gate": "max_prob", "low": low, "high": 1.0}
    assert rows(make_sna(**gate)) == (len(always) + 2, 2)
    assert rows(make_sna(**gate, report_baseline=False)) == (len(always), 0)
    assert rows(make_sna(**ALWAYS)) == (2 * len(always), len(always))


def test_a_switch_that_is_none(make_sna: Any) -> None:
    with pytest.raises(InputError, match="report_baseline: expected true or false, got 'maybe'"):
        make_sna(**ALWAYS, report_baseline="maybe")


def test_another_release_of_lm_eval(caplog: pytest.LogCaptureFixture) -> None:
    """Its `evaluate` has no such table: that is said, and nothing else happens."""
    there: dict[str, Any] = {"__name__": "lm_eval.evaluator", "report_both": report_both}
    exec("def evaluate(lm): report_both()", there)
    there["evaluate"]("a model")
    assert "no baseline_ metrics" in caplog.text
    caplog.clear()
    report_both()
    assert not caplog.text
