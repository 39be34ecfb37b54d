"""Targets that are none of the choices: lm_eval scores these documents as wrong, whatever is said.

A search that needs no answers keeps them, one that does leaves them out, and a gate on the right
answer says which document has none.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.tasks.development import examples_of
from sna_eval.harness.tasks.questions import gold_index
from sna_eval.measuring.items import load_items

TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: multiple_choice
test_split: test
validation_split: validation
doc_to_text: "{{{{text}}}} sounds"
doc_to_choice: ["dull", "bright"]
doc_to_target: {name}
metric_list: [{{metric: acc}}]
"""
TARGETS: dict[str, tuple[Any, ...]] = {
    "word": ("dull", "other", "bright", "dull"),
    "beyond": (0, 7, 1, 0),
    "missing": (0, -1, 1, 0),
    "several": ([0, 1], [7, -1], [7, 1], [0]),
    "nothing": (0, None, 1, 0),
}
"""Of four documents, the second of which has no right answer."""
GOLD = (0, None, 1, 0)
names = pytest.mark.parametrize("name", TARGETS)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("targets")
    for split in ("test", "dev"):
        rows = [
            {"text": f"{split} {n}", **{name: target[n] for name, target in TARGETS.items()}}
            for n in range(len(GOLD))
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in TARGETS:
        (folder / f"{name}.yaml").write_text(TASK.format(name=name, folder=folder))
    manager = TaskManager(include_path=folder, include_defaults=False)
    return lambda name: manager.load([name])["tasks"][name]


@names
def test_a_target_that_is_no_choice_is_no_right_answer(load: Any, name: str) -> None:
    task = load(name)
    assert tuple(gold_index(task, doc) for doc in task.eval_docs) == GOLD


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "nothing"])
def test_lm_eval_scores_such_documents_as_wrong(load: Any, name: str) -> None:
    """Its own accuracy, whichever choice is likelier. Where there is no target it raises."""
    task = load(name)
    for doc, gold in zip(task.eval_docs, GOLD, strict=True):
        for chosen in (0, 1):
            answers = [(0.0 if place == chosen else -1.0, False) for place in (0, 1)]
            right = task.process_results(doc, answers)["acc"]
            if gold is None or chosen == gold:
                assert right == float(gold is not None)


@names
def test_development_keeps_the_prompt_and_drops_the_answer(load: Any, name: str) -> None:
    found = examples_of(load(name))
    assert found.prompts == tuple(f"dev {n} sounds" for n in range(len(GOLD)))
    assert [question.context for question in found.questions] == [
        found.prompts[n] for n in (0, 2, 3)
    ]
    assert [question.answer for question in found.questions] == [" dull", " bright", " dull"]
    assert found.of_label(0) == (found.prompts[0], found.prompts[3])
    assert found.of_label(1) == (found.prompts[2],)


@names
@pytest.mark.parametrize("method", ["differential", "contrastive", "attribution"])
def test_neurons_are_found_all_the_same(load: Any, make_sna: Any, name: str, method: str) -> None:
    lm = make_sna(layer=1, top_k=3, multiplier=2.0, gate="always", select=method)
    (entry,) = lm.plans.for_task(load(name)).interventions
    assert {len(neuron) for neuron in entry.neurons.values()} == {3}


@names
def test_a_gate_on_the_right_answer_names_the_document(load: Any, make_sna: Any, name: str) -> None:
    task = load(name)
    task.build_all_requests()
    plan = {"layer": 1, "neurons": "3;4", "multiplier": 2.0}
    with pytest.raises(InputError, match=rf"{name}: expected a right answer .*; document 1: use"):
        make_sna(**plan, gate="target_prob").loglikelihood(task.instances, disable_tqdm=True)
    answers = make_sna(**plan, gate="margin").loglikelihood(task.instances, disable_tqdm=True)
    assert len(answers) == 2 * len(GOLD)


@names
def test_a_sweep_leaves_the_document_out(load: Any, make_sna: Any, name: str) -> None:
    lm = make_sna(layer=1, neurons="3;4", multiplier=2.0, gate="always")
    items = load_items(load(name), lm, split="test")
    assert [item.instance.doc_id for item in items.items] == [0, 2, 3]
    assert (items.gold, items.unanswered) == ((0, 1, 0), 1)


def test_a_class_that_does_not_name_its_choices(load: Any, make_sna: Any) -> None:
    """lm_eval's scrolls_quality makes its requests itself and has no `doc_to_choice`."""
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import ConfigurableTask

    class Quality(ConfigurableTask):
        def construct_requests(self, doc: Any, ctx: Any, **options: Any) -> Any:
            asked = options["metadata"]
            return [
                Instance("loglikelihood", doc, (ctx, choice), place, metadata=asked)
                for place, choice in enumerate((" dull", " bright"))
            ]

    named = load("word").config
    task = Quality(
        config={
            "task": "quality", "dataset_path": "json", "dataset_kwargs": named.dataset_kwargs,
            "output_type": "multiple_choice", "test_split": "test",
            "validation_split": "validation", "doc_to_text": "{{text}} sounds",
            "doc_to_target": "word", "metric_list": named.metric_list,
        }
    )  # fmt: skip
    found = examples_of(task)
    assert len(found.prompts) == len(GOLD)
    assert [question.answer for question in found.questions] == [" dull", " bright", " dull"]
    assert found.labels is None
    task.build_all_requests()
    lm = make_sna(layer=1, neurons="3;4", multiplier=2.0, gate="target_prob")
    with pytest.raises(InputError, match=r"quality: expected a right answer that is one of `d"):
        lm.loglikelihood(task.instances, disable_tqdm=True)
