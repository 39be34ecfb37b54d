"""Neurons are searched on development items as lm_eval would show them, were they evaluated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sna_eval.cache import prompt_fingerprint
from sna_eval.harness.loading import load_tasks
from sna_eval.harness.tasks.contexts import Contexts, TaskArguments
from sna_eval.harness.tasks.development import examples_of
from sna_eval.study.sweep import Sweep, SweepOptions

KINDS = {
    "loglikelihood": 'doc_to_target: "{{{{answer}}}}"\nmetric_list: [{{metric: acc}}]',
    "multiple_choice": (
        'doc_to_choice: ["a mat", "a hat", "no"]\ndoc_to_target: label\n'
        "metric_list: [{{metric: acc}}]"
    ),
    "generate_until": (
        'doc_to_target: "{{{{answer}}}}"\ngeneration_kwargs: {{until: ["."], max_gen_toks: 2}}\n'
        "metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]"
    ),
}
TASK = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/{test}.jsonl, validation: {folder}/dev.jsonl, train: {folder}/train.jsonl}}
output_type: {kind}
test_split: test
validation_split: validation
fewshot_split: train
description: "Go on.\\n"
doc_to_text: "{{{{text}}}} sat on"
"""  # noqa: E501
TEMPLATE = "{% for m in messages %}<{{m.role}}>{{m.content}}{% endfor %}{{'<assistant>\n'}}"
SAID = [
    {"num_fewshot": 2},
    {"system_instruction": "Be brief."},
    {"num_fewshot": 1, "apply_chat_template": True, "system_instruction": "Be brief."},
    {"num_fewshot": 2, "apply_chat_template": True, "fewshot_as_multiturn": False},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`own_KIND`, and `shown_KIND` that evaluates the development items of the other."""
    folder = tmp_path_factory.mktemp("shown")
    for split, names in (("test", "abcd"), ("dev", "efghij"), ("train", "klmnop")):
        rows = [
            {"text": f"the cat {name}", "answer": f"a mat {name}", "label": number % 3}
            for number, name in enumerate(names)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for kind, rest in KINDS.items():
        for name, test in (("own", "test"), ("shown", "dev")):
            text = (TASK + rest).format(name=f"{name}_{kind}", folder=folder, test=test, kind=kind)
            (folder / f"{name}_{kind}.yaml").write_text(text)
    return folder


@pytest.fixture
def lm(make_sna: Any) -> Iterator[Any]:
    lm = make_sna(layer=1, top_k=3, multiplier=2.0, gate="always")
    before, lm.tokenizer.chat_template = lm.tokenizer.chat_template, TEMPLATE
    yield lm
    lm.tokenizer.chat_template = before


def asked_of(lm: Any, folder: Path, name: str, said: dict[str, Any]) -> dict[str, Any]:
    """What lm_eval's evaluator gives for a task."""
    from lm_eval.evaluator import evaluate

    task = load_tasks([name], include_path=folder, arguments=TaskArguments(**said))[name]
    task.set_fewshot_seed(1234)
    around = {name: value for name, value in said.items() if name != "num_fewshot"}
    chat = around.get("apply_chat_template", False)
    found: dict[str, Any] = evaluate(
        lm, {"tasks": {name: task}}, bootstrap_iters=0,
        **{"fewshot_as_multiturn": chat, **around},
    )  # fmt: skip
    return found


@pytest.mark.parametrize("said", SAID, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_prompts_are_what_an_evaluation_would_send(
    kind: str, said: dict[str, Any], folder: Path, lm: Any, make_hf: Any
) -> None:
    hf = make_hf()
    samples = asked_of(hf, folder, f"shown_{kind}", said)["samples"][f"shown_{kind}"]
    expected = [
        sample["arguments"][0][0] for sample in sorted(samples, key=lambda sample: sample["doc_id"])
    ]
    if kind != "generate_until":
        expected = [text.rstrip() for text in expected]
    name = f"own_{kind}"
    task = load_tasks([name], include_path=folder, arguments=TaskArguments(**said))[name]
    found = examples_of(task, contexts=Contexts.of(task, lm))
    assert list(found.prompts) == expected
    given = {key: value for key, value in said.items() if value}
    multiturn = {"fewshot_as_multiturn": True}
    chat = said.get("apply_chat_template") and said.get("fewshot_as_multiturn") is None
    assert found.arguments == given | (multiturn if chat else {})
    for question in found.questions:
        assert question.shown.startswith("the cat"), "examples hold no template and no examples"
        assert question.shown.count("the cat") == 1


@pytest.mark.parametrize("said", SAID[1:3], ids=str)
def test_the_plan_of_a_run_says_it(said: dict[str, Any], folder: Path, lm: Any) -> None:
    """In a run of lm_eval, and by the commands that load tasks with the same flags."""
    name = "own_multiple_choice"
    asked_of(lm, folder, name, said)
    (entry,) = lm.plans.resolved[name].interventions
    task = load_tasks([name], include_path=folder, arguments=TaskArguments(**said))[name]
    examples = examples_of(task, contexts=Contexts.of(task, lm))
    labelled = [*examples.prompts, *examples.label_names, *map(str, examples.labels)]
    assert entry.found.prompt_hash == prompt_fingerprint(labelled)
    assert entry.found.task_arguments == dict(examples.arguments)
    sweep = Sweep(SweepOptions(tasks=(name,), halves=False), lm=lm, tasks={name: task})
    assert sweep.subjects[name].examples.prompts == examples.prompts
    lm.__dict__.pop("plans")
    lm.plans.for_tasks({name: task})
    assert lm.plans.resolved[name].interventions == (entry,)


def test_zero_shot_prompts_are_what_they_were(folder: Path, lm: Any) -> None:
    """And their record says nothing of an evaluation: plans of before are found again."""
    name = "own_loglikelihood"
    task = load_tasks([name], include_path=folder)[name]
    found = examples_of(task, contexts=Contexts.of(task, lm))
    assert found == examples_of(task)
    assert found.prompts[0] == "Go on.\nthe cat e sat on"
    assert found.arguments == {}
    lm.plans.for_tasks({name: task})
    (entry,) = lm.plans.resolved[name].interventions
    assert "task_arguments" not in entry.found.to_dict()
