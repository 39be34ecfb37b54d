"""What is said of tasks beside their names: they are those of an evaluation with the same flags."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.loading import load_tasks
from sna_eval.harness.tasks.contexts import TaskArguments, parse_metadata
from sna_eval.measuring.items import load_items
from sna_eval.study.methods.evaluating import evaluate as evaluated

OWN = """
import datasets


def build(lengths=None, pretrained=None, dtype=None, **rest):
    if lengths is None:
        raise KeyError("lengths")
    rows = [
        {"text": "the cat sat on " * count + f"{pretrained} {dtype} and {n}", "answer": " a mat"}
        for count in lengths for n in range(2)
    ]
    split = datasets.Dataset.from_list
    return {"test": split(rows), "validation": split(rows[::-1])}
"""
MADE = """
task: {name}
custom_dataset: !function own.build
output_type: loglikelihood
test_split: test
validation_split: validation
fewshot_split: validation
doc_to_text: "{{{{text}}}}"
doc_to_target: "{{{{answer}}}}"
target_delimiter: ""
metric_list: [{{metric: acc}}, {{metric: delta_prob}}]
"""
MODEL = "pretrained=some/model,dtype=float32"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "own.py").write_text(OWN)
    (folder / "_base.yaml").write_text("output_type: loglikelihood\n")
    for name in ("made", "made_too"):
        (folder / f"{name}.yaml").write_text(MADE.format(name=name))
    zero = MADE.format(name="made_zero") + "num_fewshot: 0\n"
    (folder / "made_zero.yaml").write_text(zero)
    return folder


def load(folder: Path, *names: str, model_args: Any = MODEL, **arguments: Any) -> dict[str, Any]:
    arguments = {"metadata": {"lengths": [1, 2]}, **arguments}
    return load_tasks(
        names or ("made",),
        include_path=folder,
        model_args=model_args,
        arguments=TaskArguments(**arguments),
    )


def test_a_task_is_handed_what_an_evaluation_hands_it(folder: Path) -> None:
    from lm_eval.config.evaluate_config import EvaluatorConfig

    (task,) = load(folder).values()
    model = {"pretrained": "some/model", "dtype": "float32"}
    config = EvaluatorConfig(
        tasks=["made"], include_path=str(folder), model_args=model, metadata={"lengths": [1, 2]}
    )
    config._configure()
    theirs = config.process_tasks(config.metadata).load(config.tasks)["tasks"]["made"]
    assert [doc["text"] for doc in task.eval_docs] == [doc["text"] for doc in theirs.eval_docs]
    assert "some/model float32" in task.eval_docs[0]["text"]


def test_what_is_typed_for_the_task_comes_before_the_models(folder: Path) -> None:
    (task,) = load(folder, metadata={"lengths": [3], "pretrained": "named"}).values()
    assert task.eval_docs[0]["text"].startswith("the cat sat on " * 3 + "named")


def test_what_a_task_lacks_is_said_with_the_way_to_give_it(folder: Path) -> None:
    match = r"tasks that load: made, got .KeyError: 'lengths'.*own\.py:\d+; .* by --metadata"
    with pytest.raises(InputError, match=match):
        load(folder, metadata={})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (None, {}),
        (["lengths=[1,2]", "name=a"], {"lengths": [1, 2], "name": "a"}),
        (["lengths=[1,2],name=a"], {"lengths": [1, 2], "name": "a"}),
        (['{"lengths": [1, 2], "deep": {"a": null}}'], {"lengths": [1, 2], "deep": {"a": None}}),
        (["a=b=c", "a=2"], {"a": 2}),
    ],
)
def test_metadata_is_read_as_lm_eval_reads_it(words: Any, expected: Any) -> None:
    assert parse_metadata(words) == expected


@pytest.mark.parametrize("word", ["lengths", '{"lengths": ', "[1]"])
def test_metadata_that_is_none(word: str) -> None:
    with pytest.raises(InputError, match="metadata: expected key=value words, or a JSON object"):
        parse_metadata([word])


@pytest.mark.parametrize(
    ("name", "asked", "shots"),
    [("made", None, 0), ("made", 2, 2), ("made", 0, 0), ("made_zero", 2, 0)],
)
def test_examples_as_many_as_an_evaluation_shows(
    folder: Path, make_sna: Any, name: str, asked: int | None, shots: int
) -> None:
    """A task that says 0 keeps it, as in lm_eval."""
    (task,) = load(folder, name, num_fewshot=asked).values()
    lm = make_sna(layer=1, neurons="1", multiplier=2.0, gate="always")
    (text, *_) = (
        item.requests[0].context_text for item in load_items(task, lm, split="test").items
    )
    assert text.count("\n\n") == shots


def test_prompts_are_those_of_an_evaluation(folder: Path, make_sna: Any) -> None:
    from lm_eval.evaluator import evaluate

    lm = make_sna(layer=1, neurons="1", multiplier=2.0, gate="always")
    lm.tokenizer.chat_template = "{% for m in messages %}<{{m.role}}>{{m.content}}{% endfor %}"
    said = {"system_instruction": "Be brief.", "apply_chat_template": True}
    (task,) = load(folder, num_fewshot=1, **said).values()
    task.set_fewshot_seed(1234)
    got = evaluate(
        lm, {"tasks": {"made": task}}, bootstrap_iters=0, fewshot_as_multiturn=True, **said
    )
    asked = [sample["arguments"][0][0] for sample in got["samples"]["made"]]
    items = load_items(task, lm, split="test").items
    assert [item.requests[0].context_text for item in items] == asked
    assert asked[0].startswith("<system>Be brief.")
    plain = next(iter(load(folder).values()))
    outcomes = [
        evaluated(lm, "made", one, lm.plan.tasks["*"], limit=2).before for one in (task, plain)
    ]
    assert outcomes[0] != outcomes[1]
    lm.tokenizer.chat_template = None


def test_only_what_is_given_is_recorded() -> None:
    assert TaskArguments().given() == {}
    said = TaskArguments({"a": [1]}, 0, fewshot_as_multiturn=False)
    assert said.given() == {"metadata": {"a": [1]}, "num_fewshot": 0, "fewshot_as_multiturn": False}


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"num_fewshot": -1}, "num_fewshot: expected 0 or more, got -1"),
        ({"fewshot_as_multiturn": True}, "expected --apply_chat_template beside it"),
    ],
)
def test_what_cannot_be(values: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        TaskArguments(**values)


# By which names tasks are found


def test_files_folders_and_globs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As lm_eval takes them; files that others only include are no tasks."""
    here = {"metadata": {"lengths": [1]}}
    every = ["made", "made_too", "made_zero"]
    bare = load_tasks
    for name, expected in (
        (str(folder / "made.yaml"), ["made"]),
        (str(folder / "made_*.yaml"), ["made_too", "made_zero"]),
        (str(folder), every),
        (f"{folder}/", every),
    ):
        tasks = bare([name], arguments=TaskArguments(**here))
        assert sorted(tasks) == expected
    monkeypatch.chdir(folder)
    assert list(bare(["./made.yaml", "sna_math_easy"], arguments=TaskArguments(**here))) == [
        "made", "sna_math_easy",
    ]  # fmt: skip
    monkeypatch.setenv("HOME", str(folder.parent))
    typed = f"~/{folder.name}/made.yaml"
    assert list(bare([typed], arguments=TaskArguments(**here))) == ["made"]


def test_a_name_that_lm_eval_knows_means_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of outputs is often called as the task is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sna_math_easy").mkdir()
    assert list(load_tasks(["sna_math_easy"])) == ["sna_math_easy"]


@pytest.mark.parametrize("name", ["no_such.yaml", "nothing_at_all"])
def test_names_that_mean_nothing(name: str) -> None:
    with pytest.raises(InputError, match=f"YAML files or folders of them, got '{name}'"):
        load_tasks([name])


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="YAML files or folders of them"):
        load_tasks([str(tmp_path)])


def test_a_file_that_is_no_task(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("task: [unclosed")
    with pytest.raises(InputError, match=r"tasks that load: .*broken\.yaml, got .*ParserError"):
        load_tasks([str(tmp_path / "broken.yaml")])


def test_a_name_and_a_file_and_the_name_again(folder: Path) -> None:
    found = load(folder, "made", str(folder / "made_too.yaml"), "made")
    assert list(found) == ["made", "made_too"]


def test_the_commands_know_metric_names(tmp_path: Path) -> None:
    """In a process that never loads the model: `- metric: delta_prob` was a KeyError there."""
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "a cat", "answer": " sat"}))
    task = MADE.format(name="plain").replace("custom_dataset: !function own.build", (
        "dataset_path: json\n"
        f"dataset_kwargs: {{data_files: {{test: {tmp_path}/rows.jsonl, "
        f"validation: {tmp_path}/rows.jsonl}}}}"
    ))  # fmt: skip
    (tmp_path / "plain.yaml").write_text(task)
    code = (
        "from sna_eval.harness.loading import load_tasks\n"
        f"print(*load_tasks(['plain'], include_path={str(tmp_path)!r}))"
    )
    environment = {**os.environ, "SNA_EVAL_NO_STARTUP": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert ran.stdout.split() == ["plain"], ran.stderr
