"""Tasks that are Python classes: they make their requests, and name no splits and no choices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import evaluate as run_lm_eval
from lm_eval.tasks import TaskManager

from sna_eval.errors import InputError
from sna_eval.harness.tasks.development import development_docs, examples_of
from sna_eval.harness.tasks.questions import output_type, right_text
from sna_eval.measuring.items import load_items

CLASSES = '''
import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask


class Own(ConfigurableTask):
    VERSION = 1
    DATASET_PATH = "json"

    def __init__(self, config=None):
        super().__init__(config={{"metadata": {{"version": 1}}}})

    def download(self, *args, **kwargs):
        files = {{split: "{folder}/" + split + ".jsonl" for split in ("train", "validation")}}
        self.dataset = datasets.load_dataset("json", data_files=files)

    def has_training_docs(self):
        return True

    def has_validation_docs(self):
        return True

    def has_test_docs(self):
        return False

    def training_docs(self):
        return self.dataset["train"]

    def validation_docs(self):
        return self.dataset["validation"]

    def doc_to_text(self, doc):
        return doc["text"] + " and"

    def doc_to_target(self, doc):
        return " " + doc["choices"][doc["gold"]]

    def aggregation(self):
        return {{"acc": mean}}

    def higher_is_better(self):
        return {{"acc": True}}


class Quality(Own):
    """Scored choices that only the requests tell of, as in SCROLLS."""

    def construct_requests(self, doc, ctx, chat_template=None, apply_chat_template=False, **kwargs):
        return [
            Instance("loglikelihood", doc, (ctx, " " + choice), place, **kwargs)
            for place, choice in enumerate(doc["choices"])
        ]

    def process_results(self, doc, results):
        scores = [score for score, _ in results]
        return {{"acc": float(scores.index(max(scores)) == doc["gold"])}}


class Squad(Own):
    """A text, and the score of a sentence, of every document."""

    def construct_requests(self, doc, ctx, chat_template=None, apply_chat_template=False, **kwargs):
        asked = {{"until": ["zzz"], "max_gen_toks": 4}}
        return [
            Instance("generate_until", doc, (ctx, asked), 0, **kwargs),
            Instance("loglikelihood", doc, (ctx, " no one knows"), 0, **kwargs),
        ]

    def process_results(self, doc, results):
        text, (score, _) = results
        return {{"acc": float(doc["choices"][0] in text or score > -1)}}


class Stream(Quality):
    """Documents one by one."""

    def training_docs(self):
        return iter(self.dataset["train"])


class Leaking(Quality):
    def training_docs(self):
        return self.dataset["validation"]


class Untrained(Quality):
    def has_training_docs(self):
        return False
'''
NAMES = ("Quality", "Squad", "Stream", "Leaking", "Untrained")
PLAN = {"layer": 2, "neurons": "1;5;7", "multiplier": 3.0}


def rows(split: str, count: int) -> list[dict[str, Any]]:
    choices = ["the end", "so on", "a long way"]
    return [
        {
            "text": f"{split} {n} the cat sat",
            "gold": n % 3,
            "choices": choices[n % 2 :] + ["no"] * (n % 2),
        }
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("classes")
    for split, count in (("train", 8), ("validation", 5)):
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows(split, count))))
    (folder / "own_classes.py").write_text(CLASSES.format(folder=folder))
    for name in NAMES:
        text = f"task: {name.lower()}\nclass: !function own_classes.{name}\n"
        (folder / f"{name}.yaml").write_text(text)
    manager = TaskManager(include_path=folder, include_defaults=False)
    return lambda name: manager.load([name])["tasks"][name]


@pytest.mark.parametrize(
    ("name", "kind"), [("quality", "multiple_choice"), ("squad", "generate_until")]
)
def test_what_they_ask_says_what_they_are(load: Any, name: str, kind: str) -> None:
    assert output_type(load(name)) == kind


@pytest.mark.parametrize("name", ["quality", "squad", "stream"])
def test_training_documents_are_for_development(load: Any, name: str) -> None:
    texts = [doc["text"] for doc in development_docs(load(name))]
    assert texts == [row["text"] for row in rows("train", 8)]


@pytest.mark.parametrize("name", ["leaking", "untrained"])
def test_evaluated_documents_are_not(load: Any, name: str) -> None:
    with pytest.raises(InputError, match=rf"tasks\.{name}\.select\.prompts: expected development"):
        development_docs(load(name))


def test_right_answers_are_the_choices_that_are_the_target(load: Any, make_sna: Any) -> None:
    task = load("quality")
    lm = make_sna(**PLAN, gate="target_prob")
    for split, docs in (("development", rows("train", 8)), ("test", rows("validation", 5))):
        items = load_items(task, lm, split=split)
        assert items.gold == tuple(row["gold"] for row in docs)
        assert items.has_choices
    questions = examples_of(task).questions
    assert [question.right for question in questions] == [row["gold"] for row in rows("train", 8)]


def test_a_target_with_its_space_gets_no_second_one(load: Any, make_sna: Any) -> None:
    items = load_items(load("squad"), make_sna(**PLAN, gate="always"), split="test")
    asked = [item.requests[0].continuation_text for item in items.items]
    assert asked == [f" {row['choices'][row['gold']]}" for row in rows("validation", 5)]


@pytest.mark.parametrize("method", ["differential", "attribution"])
def test_neurons_are_found(load: Any, make_sna: Any, method: str) -> None:
    lm = make_sna(layer=1, top_k=3, multiplier=2.0, gate="always", select=method)
    (entry,) = lm.plans.for_task(load("quality")).interventions
    assert len(entry.neurons[""]) == 3


@pytest.mark.parametrize(("name", "gate"), [("squad", "max_prob"), ("quality", "target_prob")])
def test_each_document_is_counted_once(load: Any, make_sna: Any, name: str, gate: str) -> None:
    """One that is asked for a text and for a score as well was two items."""
    lm = make_sna(**PLAN, gate=gate)
    got = run_lm_eval(lm, {"tasks": {name: load(name)}}, bootstrap_iters=0)
    counts = lm.describe()["tasks"][name]
    assert counts["items"] == sum(counts["zones"].values()) == len(got["samples"][name]) == 5


def test_several_answers_to_one_request_are_one_item(make_sna: Any, own_tasks: Path) -> None:
    task = TaskManager(include_path=own_tasks, include_defaults=False).load(["own_generation"])
    task["tasks"]["own_generation"].set_config(key="repeats", value=3)
    lm = make_sna(**PLAN, gate="max_prob")
    got = run_lm_eval(lm, task, bootstrap_iters=0)
    assert len(got["samples"]["own_generation"][0]["resps"][0]) == 3
    assert lm.describe()["tasks"]["own_generation"]["items"] == 5


class Target:
    """What `right_text` asks of a task."""

    def __init__(self, target: Any, choices: list[str] | None = None) -> None:
        self.target, self.choices = target, choices
        self.config = type("config", (), {"target_delimiter": " ", "doc_to_choice": choices})

    def doc_to_target(self, doc: Any) -> Any:
        return self.target

    def doc_to_choice(self, doc: Any) -> Any:
        return self.choices


@pytest.mark.parametrize(
    ("target", "choices", "expected"),
    [
        ("ice", None, " ice"),
        ("\nice", None, "\nice"),
        (["", "ice"], None, " ice"),
        ([["ice", "Ice"], ["snow"]], None, " ice"),
        (42, None, " 42"),
        (0, ["ice", "snow"], " ice"),
        ([1], ["ice", "snow"], " snow"),
        (2, ["ice", "snow"], None),
        (-1, ["ice", "snow"], None),
        ([], None, None),
        ([[], ""], None, None),
        (None, None, None),
        ("  ", None, None),
    ],
)
def test_the_first_right_answer(target: Any, choices: Any, expected: str | None) -> None:
    assert right_text(Target(target, choices), {}) == expected
