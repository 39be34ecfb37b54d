"""The batch page with a file, without a browser: what is kept, named, scored and summed up."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from sna_eval.app.core.batch import BatchRow, run_batch
from sna_eval.app.core.batch_file import BadRow, PromptFile, read_prompt_file
from sna_eval.app.core.workspace import Workspace
from sna_eval.app.ui import pieces
from tests.app.conftest import a_setting
from tests.app.test_pages import batch, errors, opened, pressed, texts

needs_uploads = pytest.mark.skipif(
    not hasattr(AppTest, "file_uploader"), reason="needs a Streamlit whose AppTest takes files"
)
GOOD = [
    '{"prompt": "Five plus five is", "target": "ten"}',
    '{"prompt": "The sea is", "target": "wide"}',
    '{"prompt": "Question: What is 8 + 2? Answer:", "target": "10"}',
]


def content(*more: str) -> bytes:
    return "\n".join([*GOOD, *more]).encode()


def uploaded(app: AppTest, file: bytes) -> AppTest:
    app.file_uploader(key="batch_file").set_value(("a.jsonl", file, "application/jsonl"))
    return app.run()


@pytest.fixture(scope="module")
def scored(workspace: Workspace) -> tuple[PromptFile, tuple[BatchRow, ...]]:
    """The good rows by the batch's own scorer, under the page's first setting."""
    file = read_prompt_file("a.jsonl", content(), space=True)
    (rows,) = run_batch(workspace, a_setting(), file.rows)
    return file, rows


def cells(app: AppTest) -> list[list[str]]:
    """All tables' rows as text."""
    rows = re.findall(r"<tr>(.*?)</tr>", texts(app))
    found = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]
    return [[re.sub(r"<[^>]*>", "", cell) for cell in row] for row in found if row]


@needs_uploads
def test_a_file_is_scored_and_summed_up(scored: Any) -> None:
    _, rows = scored
    app = uploaded(opened(batch), content("{broken", '{"prompt": "no target"}'))
    (warning,) = app.warning
    said = warning.value.replace("\\", "")
    assert said.startswith("3 rows can be used, 2 cannot:")
    assert "- line 4: no JSON" in said
    assert "- line 5: no `target`" in said
    app = pressed(app, "Run")
    assert errors(app) == []
    before, after = (
        sum(getattr(row, name) for row in rows) / len(rows) for name in ("baseline_prob", "prob")
    )
    shown = texts(app)
    for value in (pieces.number(before), pieces.number(after), pieces.change(after - before)):
        assert value in shown
    assert f">{sum(row.amplified for row in rows)} of 3<" in shown
    table = [row for row in cells(app) if len(row) == 8]
    assert [row[0] for row in table] == ["1", "2", "3"]
    for row, result in zip(table, rows, strict=True):
        assert row[5:7] == [pieces.number(result.baseline_prob), pieces.number(result.prob)]
        assert row[7] == (pieces.change(result.delta_prob) if result.amplified else "left")
    zones = [row for row in cells(app) if len(row) == 5]
    assert sum(int(row[1]) for row in zones) == 3
    assert len(zones) == len({row.zone for row in rows})


@needs_uploads
def test_a_file_of_good_rows_alone() -> None:
    app = uploaded(opened(batch), content())
    assert [entry.value for entry in app.success] == ["3 rows can be used."]
    assert not app.warning


@needs_uploads
def test_a_file_that_cannot_be_used_is_a_message() -> None:
    app = uploaded(opened(batch), b'{"prompt": "no target"}')
    (message,) = errors(app)
    assert "file: expected rows with `prompt` and `target`" in message


@needs_uploads
def test_many_bad_rows_are_counted() -> None:
    app = uploaded(opened(batch), content(*["{broken"] * 25))
    (warning,) = app.warning
    said = warning.value.replace("\\", "")
    assert said.count("- line ") == 20
    assert said.endswith("- and 5 more")


def test_the_first_rows_of_many_are_shown(scored: Any) -> None:
    file, rows = scored
    app = opened(batch, batch=("sna-reference", a_setting(), file, file, rows * 67))
    assert errors(app) == []
    assert any("The first 200 of 201 rows" in caption.value for caption in app.caption)
    assert len([row for row in cells(app) if len(row) == 8]) == 200


def test_rows_of_another_model_are_not_shown(scored: Any) -> None:
    file, rows = scored
    app = opened(batch, batch=("gpt2", a_setting(), file, file, rows))
    assert any("The model has changed: press Run" in caption.value for caption in app.caption)
    assert cells(app) == []


def test_rows_that_the_model_cannot_score_are_listed(scored: Any) -> None:
    file, rows = scored
    kept = replace(file, rows=file.rows[:2], bad=(BadRow(9, "expected targets of at most 8"),))
    app = opened(batch, batch=("sna-reference", a_setting(), file, kept, rows[:2]))
    assert errors(app) == []
    (warning,) = app.warning
    assert "line 9: expected targets of at most 8" in warning.value.replace("\\", "")
