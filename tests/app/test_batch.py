"""Files of prompts: what is kept, what is named, and what the rows score."""

from __future__ import annotations

import csv
import io
import json

import pytest

from sna_eval.app.core.batch import as_csv, as_jsonl, run_batch, scorable
from sna_eval.app.core.batch_file import (
    LARGEST_FILE,
    MOST_ROWS,
    BadRow,
    FileRow,
    PromptFile,
    read_prompt_file,
)
from sna_eval.app.core.question import TypedQuestion, task_questions
from sna_eval.app.core.trying import TryConfig, try_it
from sna_eval.app.core.workspace import Workspace
from sna_eval.errors import InputError
from sna_eval.gating import Gate
from tests.app.conftest import SENTIMENT, TEN, a_setting

JSONL = """{"prompt": "Five plus five is", "target": "ten"}
not json

["a list"]
{"prompt": "Two plus two is"}
{"prompt": "Two plus two is", "target": 4}
{"prompt": "", "target": "x"}
{"prompt": "Good?", "target": "yes", "others": ["no"]}
{"prompt": "Good?", "target": "yes", "others": "no"}
"""


def test_json_lines() -> None:
    file = read_prompt_file("a.jsonl", JSONL.encode(), space=True)
    assert [(row.line, row.question.choices) for row in file.rows] == [
        (1, (" ten",)),
        (8, (" yes", " no")),
    ]
    why = {row.line: row.why for row in file.bad}
    assert list(why) == [2, 4, 5, 6, 7, 9]
    assert why[2].startswith("no JSON: Expecting value")
    assert why[4] == "no JSON object"
    assert why[5] == "no `target`"
    assert why[6] == "`target` is no text"
    assert why[7].startswith("prompt: expected a text")
    assert why[9] == "`others` is no list of texts"


def test_csv() -> None:
    text = (
        'prompt,target,others\r\n"Say ""hi"", then","bye",\r\n'
        'one,two\r\n"two\nlines",x,y|z\r\n,x,\r\n"a"b,c,\r\n'
    )
    file = read_prompt_file("A.CSV", b"\xef\xbb\xbf" + text.encode(), space=True)
    assert [(row.line, row.question.prompt) for row in file.rows] == [
        (2, 'Say "hi", then'),
        (5, "two\nlines"),
    ]
    assert file.rows[1].question.others == (" y", " z")
    why = {row.line: row.why for row in file.bad}
    assert why[3] == "2 cells under 3 headings"
    assert why[6] == "no `prompt`"
    assert why[7].startswith("no CSV: ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"x" * 5_000_000, "file: expected at most 4 MB, got '4.8 MB'; split it"),
        ("a.jsonl", b"\xff\xfe", "file: expected UTF-8 text, got 'a.jsonl'"),
        ("a.jsonl", b"", "rows with `prompt` and `target`, got 'a.jsonl'; no rows"),
        ("a.csv", b"question,answer\na,b\n", "got 'a.csv'; line 2: no `prompt`"),
    ],
)
def test_files_that_cannot_be_used(name: str, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_prompt_file(name, content, space=True)


def test_rows_beyond_the_most_are_named() -> None:
    line = json.dumps({"prompt": "a", "target": "b"}) + "\n"
    file = read_prompt_file("a.jsonl", (line * (MOST_ROWS + 7)).encode(), space=True)
    assert len(file.rows) == MOST_ROWS
    assert [row.line for row in file.bad] == [MOST_ROWS + 1]
    assert "left out: a file may have 5,000 rows" in file.bad[0].why
    assert len(line) * MOST_ROWS < LARGEST_FILE


def test_rows_score_as_single_questions_do(workspace: Workspace) -> None:
    questions = [*task_questions("sna_math_easy", "development")[:40], TEN, SENTIMENT]
    rows = [FileRow(number, question) for number, question in enumerate(questions, 3)]
    portions = list(run_batch(workspace, a_setting(), rows))
    assert [len(portion) for portion in portions] == [32, 10]
    found = [row for portion in portions for row in portion]
    assert [row.line for row in found] == [row.line for row in rows]
    assert {row.amplified for row in found} == {True, False}
    for row, question in zip(found, questions, strict=True):
        single = try_it(workspace, TryConfig(question, a_setting()))
        assert row.baseline_prob == pytest.approx(single.before.prob, abs=1e-5)
        assert row.prob == pytest.approx(single.after.prob, abs=1e-5)
        assert (row.zone, row.amplified) == (single.decision.zone, single.decision.amplified)
        assert row.tokens == len(single.target_tokens)
        assert row.delta_prob == row.prob - row.baseline_prob


def test_tables_keep_every_digit(workspace: Workspace) -> None:
    rows = next(run_batch(workspace, a_setting(), [FileRow(1, TEN)]))
    (line,) = csv.DictReader(io.StringIO(as_csv(rows)))
    (row,) = map(json.loads, as_jsonl(rows).splitlines())
    assert float(line["prob"]) == row["prob"] == rows[0].prob
    assert line["prompt"] == row["prompt"] == TEN.prompt
    assert (line["oracle"], row["oracle"]) == ("False", False)


def test_a_margin_needs_choices_in_every_row(workspace: Workspace) -> None:
    rows = [FileRow(1, SENTIMENT), FileRow(4, TEN)]
    setting = a_setting(gate=Gate("margin", 0.3, 0.6))
    with pytest.raises(InputError, match=r"gate.signal: expected rows with `others`.*line 4"):
        next(run_batch(workspace, setting, rows))
    assert next(run_batch(workspace, setting, rows[:1]))[0].zone in (1, 2, 3)


def test_rows_that_cannot_be_scored_are_named_and_the_others_kept(workspace: Workspace) -> None:
    """One of five thousand ended the batch, by a number that was none of its lines."""
    long = " ".join(["seven"] * 3000)
    rows = (
        FileRow(3, TEN), FileRow(5, TypedQuestion("Say", f" {long}")),
        FileRow(9, TypedQuestion("Good?", " yes", (f" {long}",))), FileRow(12, SENTIMENT),
    )  # fmt: skip
    found = scorable(workspace, PromptFile(rows, (BadRow(1, "no JSON"),)))
    assert [row.line for row in found.rows] == [3, 12]
    assert [row.line for row in found.bad] == [1, 5, 9]
    assert all("targets of at most" in row.why for row in found.bad[1:])
    with pytest.raises(InputError, match=r"file: expected a row that the model can score.*line 5"):
        scorable(workspace, PromptFile(rows[1:3], ()))
