"""What is read off a live task: right answers in every spelling, and development items."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.tasks.development import MAX_EXAMPLES, development_docs, examples_of
from sna_eval.harness.tasks.questions import gold_index

TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: multiple_choice
test_split: test
validation_split: validation
doc_to_text: "{text}"
doc_to_choice: ["dull", "bright", "odd"]
doc_to_target: {target}
metric_list: [{{metric: acc}}]
"""
COUNT = MAX_EXAMPLES + 50
EVALUATED = "test_split: test\nvalidation_split: validation\n"
SPLITS = {
    "evaluated_alone": {"validation": "validation"},
    "trained_on_evaluated": {"training": "validation", "validation": "validation"},
    "trained_on_tested": {"training": "test", "validation": "test", "test": "test"},
    "trained_beside": {"training": "test", "validation": "validation"},
    "trained_beside_tested": {"training": "validation", "validation": "test", "test": "test"},
}
"""What each task trains, validates and tests on; without a test split the validation split is
evaluated."""


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Tasks that spell the same right answers differently."""
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("tasks")
    words = ["dull", "bright", "odd"]
    for split, count in (("test", 4), ("dev", COUNT)):
        rows = [
            {"text": f"{split} {n}", "number": n % 3, "word": words[n % 3], "several": [n % 3, 0]}
            for n in range(count)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name, target in (("number", "number"), ("word", '"{{word}}"'), ("several", "several")):
        text = TASK.format(name=name, folder=folder, target=target, text="{{text}} sounds")
        (folder / f"{name}.yaml").write_text(text)
    for name, target, words in (("bare", "number", ""), ("front", '"sounds"', "{{number}}")):
        text = TASK.format(name=name, folder=folder, target=target, text=words)
        (folder / f"{name}.yaml").write_text(text)
    described = TASK.format(
        name="described", folder=folder, target="number", text="{{text}} sounds "
    )
    described += 'description: "Listen. "\ntarget_delimiter: ""\n'
    (folder / "described.yaml").write_text(described)
    for name, splits in SPLITS.items():
        named = "".join(f"{use}_split: {split}\n" for use, split in splits.items())
        text = TASK.format(name=name, folder=folder, target="number", text="{{text}} sounds")
        (folder / f"{name}.yaml").write_text(text.replace(EVALUATED, named))
    manager = TaskManager(include_path=folder, include_defaults=False)
    return lambda name: manager.load([name])["tasks"][name]


@pytest.mark.parametrize("name", ["number", "word", "several"])
def test_right_answers_by_number_word_and_list(load: Any, name: str) -> None:
    task = load(name)
    assert [gold_index(task, doc) for doc in task.eval_docs] == [0, 1, 2, 0]


def test_a_large_split_gives_a_fixed_sample(load: Any) -> None:
    task = load("number")
    numbers = [int(doc["text"].split()[1]) for doc in development_docs(task)]
    assert len(numbers) == MAX_EXAMPLES
    assert numbers == sorted(set(numbers))
    assert numbers[-1] >= MAX_EXAMPLES  # drawn from all of it, not the beginning
    assert numbers == [int(doc["text"].split()[1]) for doc in development_docs(load("number"))]


@pytest.mark.parametrize("name", ["evaluated_alone", "trained_on_evaluated", "trained_on_tested"])
def test_items_that_are_evaluated_are_no_development_items(load: Any, name: str) -> None:
    """lm_eval's gpqa and french_bench_hellaswag name one split for training and for evaluation."""
    with pytest.raises(InputError, match=rf"tasks\.{name}\.select\.prompts: expected development"):
        development_docs(load(name))


@pytest.mark.parametrize("name", ["trained_beside", "trained_beside_tested"])
def test_a_training_split_beside_the_evaluated_one(load: Any, name: str) -> None:
    task = load(name)
    texts = {doc["text"] for doc in development_docs(task)}
    assert texts
    assert not texts & {doc["text"] for doc in task.eval_docs}


def test_examples_say_their_label(load: Any) -> None:
    found = examples_of(load("word"))
    assert found.label_names == ("dull", "bright", "odd")
    assert found.labels == tuple(
        int(prompt.split()[1]) % 3 for prompt in found.prompts  # as the rows were made
    )  # fmt: skip


def test_items_without_a_context_are_what_is_scored(load: Any) -> None:
    found = examples_of(load("bare"))
    assert len(found.prompts) == len(found.questions) == MAX_EXAMPLES
    assert found.prompts == tuple(question.answer for question in found.questions)
    assert set(found.prompts) == {" dull", " bright", " odd"}
    assert {question.context for question in found.questions} == {""}
    assert found.unconditional == frozenset(range(MAX_EXAMPLES))
    assert found.whole


def test_choices_in_front_are_read_with_what_follows_them(load: Any) -> None:
    """One text a document: its right choice, and the continuation that is scored."""
    found = examples_of(load("front"))
    assert len(found.prompts) == MAX_EXAMPLES
    assert set(found.prompts) == {"dull sounds", "bright sounds", "odd sounds"}
    assert (found.unconditional, found.whole, found.questions) == (frozenset(), True, ())


def test_so_many_at_most_spread_over_the_split(load: Any) -> None:
    found = examples_of(load("word"), 3)
    assert [int(prompt.split()[1]) for prompt in found.prompts] == [75, 225, 375]
    assert len(examples_of(load("word"), 10_000).prompts) == COUNT
    assert not found.whole


def test_a_right_answer_that_no_task_tells(make_sna: Any) -> None:
    from lm_eval.api.instance import Instance

    plan = {"layer": 1, "neurons": "3;4", "multiplier": 2.0, "gate": "target_prob"}
    requests = [
        Instance("loglikelihood", {}, ("the cat", choice), place, metadata=("own", 0, 1))
        for place, choice in enumerate((" sat", " fell"))
    ]
    with pytest.raises(InputError, match=r"gate\.signal: expected a task that says which choice"):
        make_sna(**plan).loglikelihood(requests, disable_tqdm=True)
    (searching,) = [Instance("loglikelihood", {}, ("the cat", " sat"), 0, metadata=("own", 0, 1))]
    select = {"layer": 1, "top_k": 3, "multiplier": 2.0, "gate": "always"}
    with pytest.raises(InputError, match=r"tasks\.own\.select\.prompts: expected development item"):
        make_sna(**select).loglikelihood([searching], disable_tqdm=True)


def test_prompts_are_what_lm_eval_sends_without_examples(load: Any) -> None:
    """A task's description was left out where neurons were searched, and sent where it counted."""
    plain, described = examples_of(load("number")), examples_of(load("described"))
    assert described.prompts == tuple(f"Listen. {prompt}" for prompt in plain.prompts)
    first = described.questions[0]
    assert first.context == f"{described.prompts[0]} "
    assert first.shown == f"{plain.prompts[0]} dull"


def test_spaces_at_the_end_of_a_context_are_the_answers(load: Any) -> None:
    """They are scored with the answer, so no neuron is ranked on them."""
    found = examples_of(load("described"))
    assert all(prompt == prompt.rstrip() for prompt in found.prompts)
    assert all(question.context.endswith(" ") for question in found.questions)
