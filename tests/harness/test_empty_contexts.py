"""Which requests are choices: known from the task, whatever of their contexts is empty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from sna_eval.gating.signals.margin import margin
from sna_eval.gating.signals.target_prob import target_prob
from sna_eval.harness.plugin.stand_in import encoded
from sna_eval.harness.tasks.development import examples_of
from sna_eval.harness.tasks.items import group_items, prompted
from sna_eval.harness.tasks.questions import LiveTasks, unconditional_requests
from sna_eval.measuring.items import load_items
from sna_eval.study.results.answers import answers_of
from sna_eval.study.results.samples import read_items, read_samples

HEAD = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl, validation: {folder}/dev.jsonl}}}}
output_type: multiple_choice
test_split: test
validation_split: validation
metric_list: {metrics}
"""
SHAPES = {
    "endings": 'doc_to_text: ""\ndoc_to_choice: "{{wholes}}"\ndoc_to_target: label\n',
    "openings": 'doc_to_text: "{{label}}"\ndoc_to_choice: "{{begins}}"\ndoc_to_target: goes\n',
    "asked": 'doc_to_text: "{{goes}}"\ndoc_to_choice: "{{wholes}}"\ndoc_to_target: label\n',
}
"""All contexts empty; contexts that vary, one of three empty; continuations that vary."""
DOCS = [
    {"begins": begins, "wholes": [f"{one} rain fell on it" for one in ("so", "a", "the")],
     "goes": "sat on the mat while rain fell", "label": label}
    for begins, label in (
        (["the cat", "a town over", "the rain"], 1),  # lm_eval refuses a first one that is empty
        (["", "the cat", "a town over"], 1),
        (["the cat", "", "a town over"], 0),
        (["a town over", "the cat", ""], 2),
    )
]  # fmt: skip
PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 3.0}
names = pytest.mark.parametrize("name", [*SHAPES, *(f"{shape}_mutual" for shape in SHAPES)])


KEPT = (
    "dataset_path", "dataset_kwargs", "output_type", "test_split", "validation_split",
    "doc_to_text", "doc_to_choice", "doc_to_target", "metric_list",
)  # fmt: skip


class Both(ConfigurableTask):
    """Contexts and continuations vary together: every choice is a sentence, cut where it likes."""

    def construct_requests(self, doc: Any, ctx: Any, **options: Any) -> Any:
        asked = [(begin, f" {whole}") for begin, whole in zip(*parts(doc), strict=True)]
        if "acc_mutual_info" in self._metric_fn_list:
            asked += [("", f" {whole}") for whole in doc["wholes"]]
        return [
            Instance("loglikelihood", doc, one, place, metadata=options["metadata"])
            for place, one in enumerate(asked)
        ]


def parts(doc: Any) -> tuple[list[str], list[str]]:
    return doc["begins"], doc["wholes"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contexts")
    for split in ("test", "dev"):
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, DOCS)))
    for shape, text in SHAPES.items():
        for name, metrics in ((shape, "[{metric: acc}]"), (f"{shape}_mutual", MUTUAL)):
            head = HEAD.format(name=name, folder=folder, metrics=metrics)
            (folder / f"{name}.yaml").write_text(head + text)
    return folder


MUTUAL = "[{metric: acc}, {metric: acc_mutual_info}]"


@pytest.fixture(scope="module")
def load(folder: Path) -> Any:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=folder, include_defaults=False)

    def load(name: str) -> Any:
        if not name.startswith("both"):
            return manager.load([name])["tasks"][name]
        named = manager.load([name.replace("both", "asked")])["tasks"].popitem()[1].config
        return Both(config={**{key: getattr(named, key) for key in KEPT}, "task": name})

    return load


def by_hand(hf: Any, name: str, doc: Any) -> list[float]:
    """The choices' log-likelihoods, each asked for alone."""
    begins, wholes = parts(doc)
    asked = {
        "endings": [("", f" {whole}") for whole in wholes],
        "openings": [(begin, f" {doc['goes']}") for begin in begins],
        "asked": [(doc["goes"], f" {whole}") for whole in wholes],
        "both": [(begin, f" {whole}") for begin, whole in zip(begins, wholes, strict=True)],
    }[name.removesuffix("_mutual")]
    requests = [Instance("loglikelihood", {}, request, 0) for request in asked]
    return [score for score, _ in hf.loglikelihood(requests, disable_tqdm=True)]


@pytest.mark.parametrize("name", [*SHAPES, "both"])
@pytest.mark.parametrize("mutual", [False, True])
def test_confidence_is_that_of_the_choices(
    load: Any, make_sna: Any, make_hf: Any, name: str, mutual: bool
) -> None:
    task = load(f"{name}_mutual" if mutual else name)
    task.build_all_requests()
    found: dict[str, list[Any]] = {}
    for gate in ("margin", "target_prob"):
        lm = make_sna(**PLAN, gate=gate)
        answers = lm.loglikelihood(task.instances, disable_tqdm=True)
        found[gate] = [
            next(a for a, i in zip(answers, task.instances, strict=True) if i.doc_id == number)
            for number in range(len(DOCS))
        ]
    hf = make_hf()
    for number, doc in enumerate(DOCS):
        scores = by_hand(hf, name, doc)
        confidence = {gate: one[number][0].evidence.confidence for gate, one in found.items()}
        assert confidence["margin"] == pytest.approx(margin(scores), abs=1e-5)
        expected = target_prob(scores[doc["label"]])
        assert confidence["target_prob"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", [*SHAPES, "both"])
@pytest.mark.parametrize("mutual", [False, True])
def test_a_sweep_sees_the_same_choices(load: Any, make_sna: Any, name: str, mutual: bool) -> None:
    items = load_items(
        load(f"{name}_mutual" if mutual else name), make_sna(**PLAN, gate="margin"), split="test"
    )
    assert [item.choices for item in items.items] == [(0, 1, 2)] * len(DOCS)
    assert {len(item.requests) for item in items.items} == {6 if mutual else 3}
    assert items.gold == tuple(doc["label"] for doc in DOCS)


def test_requests_that_no_task_made_are_all_choices(make_sna: Any) -> None:
    requests = [
        Instance("loglikelihood", {}, (context, " the mat"), place, metadata=("lost", 0, 1))
        for place, context in enumerate(("a cat on", "", "", ""))
    ]
    lm = make_sna(**PLAN, gate="margin")
    (item,) = group_items(requests, encoded(lm, requests), LiveTasks().unconditional).items
    assert item.choices == (0, 1, 2, 3)


def test_bypassed_metrics_ask_for_nothing_twice(load: Any) -> None:
    """`--predict_only` takes the metrics away before requests are made."""
    task = load("endings_mutual")
    assert unconditional_requests(task, DOCS[0], 6) == 3
    assert unconditional_requests(task, DOCS[0], 3) == 0
    task.override_metric("bypass")
    assert unconditional_requests(task, DOCS[0], 6) == 0


@pytest.mark.parametrize("name", ["openings", "openings_mutual"])
def test_examples_stand_before_choices_with_an_empty_context(
    load: Any, make_sna: Any, name: str
) -> None:
    lm = make_sna(**PLAN, gate="margin")
    item = load_items(load(name), lm, split="test").items[1]
    shown = prompted(item, "rain fell. ", None, lm.plans.encode)
    texts = [request.context_text for request in shown.requests]
    assert texts[:3] == [f"rain fell. {begin}" for begin in DOCS[1]["begins"]]
    assert texts[3:] == [""] * (3 if "mutual" in name else 0)


@names
def test_questions_have_no_unconditional_choices(load: Any, name: str) -> None:
    shown = [question.choices for question in examples_of(load(name)).questions]
    assert {len(words) for words in shown} <= {3}
    assert bool(shown) == name.startswith(("asked", "endings"))


@names
@pytest.mark.parametrize("reported", [True, False])
def test_samples_are_read_with_all_their_choices(
    load: Any, make_hf: Any, tmp_path: Path, name: str, reported: bool
) -> None:
    """Also where the task's own `process_results` reports no mutual information."""
    from lm_eval.evaluator import evaluate

    got = evaluate(make_hf(), {"tasks": {name: load(name)}}, bootstrap_iters=0)
    lines = []
    for sample in got["samples"][name]:
        asked = {f"gen_args_{n}": {"arg_0": argument[0], "arg_1": argument[1]}
                 for n, argument in enumerate(sample["arguments"])}  # fmt: skip
        if not reported:
            sample.pop("acc_mutual_info", None)
        lines.append(json.dumps({**sample, "arguments": asked}, default=str))
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(lines))
    (items,) = read_items(path).values()
    hf = make_hf()
    for choices, doc, sample in zip(items.choices, DOCS, read_samples(path), strict=True):
        assert choices == pytest.approx(by_hand(hf, name, doc), abs=1e-5)
        assert len(sample.continuations) == len(answers_of(sample).choices) == len(choices)
