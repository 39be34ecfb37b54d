"""Which items go together: by their answers, by a field, or each by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sna_eval.clusters import cluster_labels, fold_numbers, normalized_answer
from sna_eval.errors import InputError
from sna_eval.harness.tasks.development import development_docs, examples_of, halved
from sna_eval.harness.tasks.questions import document_labels

TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {file}, test: {file}}}}}
output_type: {kind}
validation_split: validation
test_split: test
doc_to_text: "{{{{text}}}} is"
doc_to_target: "{target}"
{further}
metric_list: [{{metric: acc}}]
"""
ANSWERS = ["Seven", " seven", "eight", "NINE", "nine "]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A task of forty documents with five answers, three of them different."""
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("clusters")
    rows = [
        {"text": f"number {n}", "answer": ANSWERS[n % 5], "kind": f"k{n % 10}", "label": n % 2}
        for n in range(40)
    ]
    (folder / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    two = 'doc_to_choice: ["bad", "good"]'
    for name, kind, target, further in (
        ("open", "loglikelihood", " {{answer}}", ""),
        ("named", "loglikelihood", " {{answer}}", "metadata: {version: 1, cluster: kind}"),
        ("labels", "multiple_choice", "{{label}}", two),
        ("choices", "multiple_choice", "{{label}}", 'doc_to_choice: "{{[answer, text]}}"'),
    ):
        text = TASK.format(
            name=name, file=folder / "items.jsonl", kind=kind, target=target, further=further
        )
        (folder / f"{name}.yaml").write_text(text)
    manager = TaskManager(include_path=[folder], include_defaults=False)
    return lambda name: manager.load_task_or_group(name)[name]


def test_an_answer_is_the_same_whatever_its_spaces_and_case() -> None:
    assert normalized_answer("  New \n York") == normalized_answer("new york")
    assert normalized_answer("\uff14") == "4"


def test_items_of_one_answer_go_together(load: Callable[..., Any]) -> None:
    task = load("open")
    labels = document_labels(task, list(task.eval_docs))
    assert labels[:5] == ("seven", "seven", "eight", "nine", "nine")


def test_a_field_says_otherwise(load: Callable[..., Any]) -> None:
    """That of the task's metadata; a plan's own goes first; one that is not there is refused."""
    task = load("named")
    docs = list(task.eval_docs)
    assert len(set(document_labels(task, docs))) == 10
    assert len(set(document_labels(task, docs, "text"))) == 40
    elsewhere = [{"answer": doc["answer"], "text": doc["text"]} for doc in docs]
    assert document_labels(task, elsewhere)[:3] == ("seven", "seven", "eight")
    with pytest.raises(InputError, match=r"named\.cluster: expected a field of its documents \(te"):
        document_labels(task, docs, "nothing")


def test_labels_of_a_classification_are_no_clusters(load: Callable[..., Any]) -> None:
    """Everyone chooses between the same two; where choices differ, the right one's text counts."""
    labels = load("labels")
    assert len(set(document_labels(labels, list(labels.eval_docs)))) == 40
    choices = load("choices")
    found = document_labels(choices, list(choices.eval_docs))
    assert found[:4] == ("seven", "number 1", "eight", "number 3")
    assert cluster_labels(["a", "b"], [["a", "b"], ["b", "A"]]) == ("item 0", "item 1")


def test_halves_share_no_answer(load: Callable[..., Any]) -> None:
    task = load("named")
    first, second = (development_docs(task, half=half) for half in ("ranking", "choosing"))
    assert not {doc["kind"] for doc in first} & {doc["kind"] for doc in second}
    assert len(first) + len(second) == len(development_docs(task)) == 40
    assert len(first) == len(second) == 20
    prompts = examples_of(task, half="ranking").prompts
    assert set(prompts) == {f"{doc['text']} is" for doc in first}
    assert len(development_docs(task, 5, half="choosing")) == 5


def test_what_cannot_be_halved_is_taken_whole(
    load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = load("open")
    monkeypatch.setattr(
        "sna_eval.harness.tasks.development.document_labels",
        lambda task, docs, field: ["one"] * (len(docs) - 1) + ["other"],
    )
    assert halved(task)[1] is None
    assert len(development_docs(task, half="ranking")) == 40


def test_folds_keep_clusters_whole() -> None:
    parts = fold_numbers(["a", "b", "a", "c", "b", "d"], 3)
    assert parts[0] == parts[2]
    assert parts[1] == parts[4]
    assert sorted(set(parts.tolist())) == [0, 1, 2]


def test_a_plan_names_a_field(tmp_path: Path) -> None:
    from sna_eval.plan import load_plan, save_plan

    path = tmp_path / "plan.yaml"
    path.write_text(
        "version: 1\ntasks:\n  t:\n    cluster: kind\n    interventions:\n"
        "      - {layer: 1, multiplier: 2.0, neurons: [1, 2]}\n"
    )
    plan = load_plan(path)
    assert plan.tasks["t"].cluster == "kind"
    save_plan(plan, tmp_path / "again.yaml")
    assert load_plan(tmp_path / "again.yaml") == plan
