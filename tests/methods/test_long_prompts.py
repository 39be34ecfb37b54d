"""Development prompts longer than the model reads: their end counts, as in the evaluation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sna_eval.errors import InputError
from sna_eval.intervention import Row
from sna_eval.methods import METHODS, Examples, Question, Workbench
from tests.methods.conftest import examples, wanted

WINDOW = 8


def test_only_the_end_is_read(bench: Workbench) -> None:
    short = replace(bench, max_length=WINDOW)
    text = "a b c d e f g h i j k l m n"
    whole = bench.rows([text])[0]
    assert len(whole) > WINDOW
    assert short.rows([text])[0] == whole[-WINDOW:]


def test_an_answer_keeps_its_room(bench: Workbench) -> None:
    short = replace(bench, max_length=WINDOW)
    question = Question("a b c d e f g h i j k l m n", (" o p",), 0)
    whole, row = bench.answered_row(question), short.answered_row(question)
    assert row.branches == whole.branches
    assert len(row) == WINDOW  # the answer's last token is never read
    assert whole.context[-len(row.context) :] == row.context


@pytest.mark.parametrize("name", ["sna", "caa", "actadd"])
def test_methods_search_in_what_is_read(bench: Workbench, name: str) -> None:
    """300 words for a model of 256 positions, against prompts that were cut by hand."""
    text = " ".join(question.context for question in examples().questions) * 12
    questions = (Question(text, (" good", " bad"), 0), Question(text, (" bad", " good"), 0))
    given = Examples((text,), questions=questions)
    assert len(bench.encode(text)) > 256
    by_hand = replace(bench, encode=lambda text: bench.encode(text)[-256:])
    found = METHODS[name].find(replace(bench, max_length=256), given, wanted(name))
    if name == "caa":  # reads answers too, so its prompts are cut elsewhere
        assert found.parameters["vector"].values.isfinite().all()
    else:
        assert found == METHODS[name].find(by_hand, given, wanted(name))


def test_an_answer_that_the_model_cannot_read_is_refused(bench: Workbench) -> None:
    short = replace(bench, max_length=WINDOW)
    question = Question("a b", (" o p" * WINDOW,), 0)
    with pytest.raises(InputError, match=r"select\.prompts: expected answers of at most 8 tokens"):
        short.answered_row(question)


@pytest.mark.parametrize(("context", "answer"), [("", " yes"), ("a b", "")])
def test_items_without_a_context_or_an_answer_are_refused(
    bench: Workbench, context: str, answer: str
) -> None:
    question = Question(context, (answer,), 0)
    with pytest.raises(InputError, match=r"select\.prompts: expected development items with a"):
        bench.answered_row(question)


def test_prompts_that_are_all_empty_are_refused(bench: Workbench) -> None:
    assert len(bench.rows(["", "a b"])) == 1
    with pytest.raises(InputError, match=r"select\.prompts: expected development prompts, not all"):
        METHODS["sna"].find(bench, Examples(("", "")), wanted("sna"))


def test_an_empty_context_is_the_token_that_stands_for_it(bench: Workbench) -> None:
    """As lm_eval scores it: the text behind that token, all of it, the first word too."""
    prefixed = replace(bench, prefix=7)
    words = tuple(bench.encode(" yes and no"))
    assert prefixed.answered_row(Question("", (" yes and no",), 0)) == Row((7,), (words,))
    examples = Examples((" yes and no", "a b"), unconditional=frozenset({0}))
    assert prefixed.task_rows(examples)[0] == [(7, *words), list(bench.encode("a b"))]
