"""Questions as typed, and as the evaluation scores them."""

from __future__ import annotations

import pytest

from sna_eval.app.core.question import (
    LONGEST_TEXT,
    TypedQuestion,
    question_items,
    question_tasks,
    task_names,
    task_questions,
    typed_question,
)
from sna_eval.app.core.setting import (
    LONGEST_LIST,
    MOST_NEURONS,
    MOST_PROMPTS,
    PromptSource,
    Setting,
    typed_lines,
)
from sna_eval.app.core.workspace import Workspace
from sna_eval.errors import InputError
from tests.app.conftest import MATH, a_setting


def test_a_space_is_put_before_what_has_none() -> None:
    asked = typed_question(
        "Five plus five is", "ten", ["six", " two", "\n"[:0] + "\tno"], space=True
    )
    assert asked.choices == (" ten", " six", " two", "\tno")
    assert typed_question("a", "b", space=False).target == "b"


@pytest.mark.parametrize(
    ("prompt", "target", "others", "message"),
    [
        ("", "ten", (), "prompt: expected a text, got ''; type the text that the model"),
        (" \n", "ten", (), "prompt: expected a text"),
        ("Five", "  ", (), "target: expected a text, got '  '; type the continuation"),
        ("Five", " ten", (" ten",), "other choices: expected distinct texts"),
        ("Five", " ten", (" ",), "other choices: expected distinct texts"),
        ("x" * (LONGEST_TEXT + 1), " ten", (), "prompt: expected at most 20,000 characters"),
        ("Five", "x" * (LONGEST_TEXT + 1), (), "target: expected at most 20,000 characters"),
    ],
)
def test_what_is_no_question(
    prompt: str, target: str, others: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match="^" + message.replace("(", r"\(")):
        TypedQuestion(prompt, target, others)


def test_items_hold_the_choices_in_order(workspace: Workspace) -> None:
    questions = [TypedQuestion("Five plus", " five", (" two",)), TypedQuestion("A", " b")]
    items = question_items(workspace.lm, questions, task="own")
    assert [len(item.requests) for item in items.items] == [2, 1]
    assert items.gold == (0, 0)
    first = items.items[0].requests[0]
    assert workspace.lm.tok_decode(list(first.context + first.continuation)) == "Five plus five"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, f"neurons: expected a count from 1 to {MOST_NEURONS}, got 0"),
        ({"count": MOST_NEURONS + 1}, "neurons: expected a count"),
        ({"multiplier": float("inf")}, "multiplier: expected a finite number, got inf"),
    ],
)
def test_what_is_no_setting(changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        a_setting(**changes)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "task prompts: expected at least one prompt, one a line"),
        ({"prompts": ("a",) * (MOST_PROMPTS + 1)}, "task prompts: expected at most 1,000 lines"),
        (
            {"prompts": ("a",), "reference": ("b" * (LONGEST_LIST + 1),)},
            "reference prompts: expected at most 1,000 lines and 200,000 characters",
        ),
    ],
)
def test_what_is_no_source(source: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PromptSource(**source)


def test_lines() -> None:
    assert typed_lines("a\n\n b \n") == ("a", " b ")
    assert isinstance(Setting(MATH, 1, 2, 3.0), Setting)


def test_every_bundled_task_has_items_to_start_from() -> None:
    names = task_names()
    assert {"sna_math_easy", "sna_sst2", "sna_transition"} <= set(names)
    assert not {"sna_all", "sna_generation"} & set(names)
    assert set(names) - set(question_tasks()) == {"sna_instruct"}  # judged by rules: no answers
    generation = [name for name in question_tasks() if name != "sna_sst2"]
    development = {name: task_questions(name, "development") for name in generation}
    for name, questions in development.items():
        prompts = {question.prompt for question in questions}
        assert prompts
        assert not prompts & {question.prompt for question in task_questions(name, "test")}
