"""The frame of the pages, as Streamlit runs it, and what the server does before the first page."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sna_eval.app import server
from sna_eval.app.core.models import SHELF
from sna_eval.app.core.question import FIRST_TASK
from sna_eval.app.core.setting import PromptSource
from sna_eval.app.core.workspace import Workspace
from sna_eval.cli import main
from tests.app.test_pages import errors, texts

SCRIPT = Path(server.__file__).parent / "ui" / "script.py"


def test_the_first_page_and_the_way_to_the_others(workspace: Workspace) -> None:
    app = AppTest.from_file(str(SCRIPT), default_timeout=60).run()
    assert errors(app) == []
    assert [entry.value for entry in app.title] == ["Try it"]
    assert "<style>" in texts(app)
    links = [(entry.proto.label, entry.proto.page) for entry in app.get("page_link")]
    assert links == [("Try it", ""), ("Where", "where"), ("Batch", "batch"), ("Runs", "runs")]


def test_the_first_click_finds_everything_ready(workspace: Workspace) -> None:
    """A workspace of its own: what the others' tests have searched must not count."""
    fresh = Workspace("fresh", workspace.lm)
    SHELF._ready["fresh"] = fresh
    try:
        server._prepare("fresh")
    finally:
        del SHELF._ready["fresh"]
    key = (PromptSource(FIRST_TASK), "differential", "mean", "mlp")
    assert list(fresh._ranked) == [key]
    assert [one.cache_info().currsize for one in (fresh.routes, fresh.grid_passes)] == [1, 1]


def test_a_model_that_cannot_be_loaded_is_left_to_whoever_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server._prepare(str(tmp_path / "none"))
    assert not SHELF.is_ready(str(tmp_path / "none"))
    assert capsys.readouterr().out == ""


def test_a_port_that_is_none_ends_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "--no_browser", "--port", "0"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line == "sna-eval: error: port: expected a number from 1 to 65535, got 0"
