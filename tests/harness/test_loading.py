"""Model arguments as they are typed, and the model that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.lm import SNALM
from sna_eval.harness.loading import (
    load_lm,
    load_tasks,
    model_arguments,
    pretrained_name,
    typed_arguments,
)

ARGUMENTS = {"dtype": "float32", "pretrained": "org/model", "revision": 7, "strict": True}


@pytest.mark.parametrize(
    "typed",
    [
        "pretrained=org/model,dtype=float32,strict=True,revision=7",
        " strict=true , dtype = float32,, revision=7,pretrained=org/model ",
        '{"strict": true, "pretrained": "org/model", "dtype": "float32", "revision": 7}',
        {"strict": True, "pretrained": "org/model", "revision": 7, "dtype": "float32"},
    ],
)
def test_the_same_arguments_are_equal(typed: Any) -> None:
    found = model_arguments(typed)
    assert list(found.items()) == list(ARGUMENTS.items())
    assert pretrained_name(typed) == "org/model"


def test_lm_eval_reads_them_alike() -> None:
    from lm_eval.utils import simple_parse_args_string

    typed = "pretrained=a=b,low=0.5,name='7',nothing=None,path=C:/x,off=False"
    assert model_arguments(typed) == simple_parse_args_string(typed)


@pytest.mark.parametrize(
    "given", [ARGUMENTS, {"pretrained": "a,b"}, {"revision": "7"}, {"chat": {"a": [1]}}, {}]
)
def test_typed_again_they_are_the_same(given: dict[str, Any]) -> None:
    assert model_arguments(typed_arguments(given)) == given


@pytest.mark.parametrize("given", [None, "", {}, "dtype=float16"])
def test_no_name_means_the_bundled_model(given: Any) -> None:
    assert pretrained_name(given) == "sna-reference"


def test_what_is_no_json_is_said() -> None:
    with pytest.raises(InputError, match="model_args: expected name=value pairs, or a JSON object"):
        model_arguments('{"pretrained": ')


def test_a_plan_is_named_once() -> None:
    """One in the model arguments silently won over the command's own."""
    arguments = "pretrained=sna-reference,plan=sna-reference"
    with pytest.raises(InputError, match=r"model_args\.plan: expected no other than --plan gpt2-"):
        load_lm(arguments, plan="gpt2-small-paper")
    lm = load_lm(arguments, plan="sna-reference")
    assert lm.plan == load_lm("pretrained=sna-reference", otherwise="sna-reference").plan
    assert load_lm(arguments, otherwise="gpt2-small-paper").plan == lm.plan


def test_a_task_must_be_named() -> None:
    with pytest.raises(InputError, match="tasks: expected at least one name, got ''"):
        load_tasks(())


@pytest.mark.parametrize("strict", ["maybe", "no", 1])
def test_strict_is_true_or_false(strict: Any) -> None:
    with pytest.raises(InputError, match="strict: expected true or false, got"):
        SNALM(gate="never", strict=strict)


def test_an_argument_that_nothing_knows_is_named() -> None:
    with pytest.raises(InputError, match=r"mutliplier: expected an argument of .* got 3"):
        SNALM(gate="never", mutliplier=3)


def test_a_model_that_is_not_there_is_named_as_typed() -> None:
    with pytest.raises(InputError, match="pretrained: expected a model folder or hub name"):
        SNALM("no/where", gate="never")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ("[no, yes]", 'got False; YAML reads no, off or false so: .* such as "no"'),
        ("[a, on]", 'got True; YAML reads yes, on or true so: .* such as "yes"'),
        ("[a, null]", "got None; put it in quotes"),
        ("[a, ~]", "got None; put it in quotes"),
        ("[1, 2]", 'got 1; put it in quotes: "1"'),
        ("[a, 1.5]", 'got 1.5; put it in quotes: "1.5"'),
        ("[a, 2024-01-02]", 'got datetime.date.*; put it in quotes: "2024-01-02"'),
        ("{first: a, second: off}", "got False; YAML reads no, off"),
    ],
)
def test_choices_that_yaml_makes_something_else_of(choices: str, said: str, tmp_path: Path) -> None:
    """lm_eval ends in a TypeError that names no task."""
    (tmp_path / "test.jsonl").write_text('{"text": "a", "label": 0}\n')
    (tmp_path / "own.yaml").write_text(
        f"task: own_words\ndataset_path: json\ntest_split: test\n"
        f"dataset_kwargs: {{data_files: {{test: {tmp_path}/test.jsonl}}}}\n"
        f"output_type: multiple_choice\ndoc_to_text: text\ndoc_to_target: label\n"
        f"doc_to_choice: {choices}\nmetric_list: [{{metric: acc}}]\n"
    )
    with pytest.raises(InputError, match=rf"tasks.own_words.doc_to_choice\[\d\]: .*{said}"):
        load_tasks(["own_words"], include_path=tmp_path)
