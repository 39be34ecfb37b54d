"""The page itself: one HTML file that asks nothing of any network.

All of it that comes from models and data sets lies in packed blocks and is put on the page as text;
a policy in its head forbids whatever else a document might try to make of it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

from sna_eval.errors import writing
from sna_eval.files import expanded, is_folder
from sna_eval.reporting.view.data import Blocks, TaskColumns, as_index, scripts
from sna_eval.study.results.answered import AnsweredTask, answered_tasks
from sna_eval.study.results.reading import read_run
from sna_eval.study.results.records import Run

_NAME = "view.html"


@dataclass(frozen=True)
class View:
    """A written page."""

    path: Path
    items: int
    tasks: int


def write_view(
    folder: str | Path, output: str | Path | None = None, *, tasks: Sequence[str] = ()
) -> View:
    """Writes the page of a run.

    **Arguments:**

    - `folder`: what lm_eval wrote with `--output_path` and `--log_samples`.
    - `output`: file to write; `view.html` beside the run's results by default.
    - `tasks`: names or globs; empty for all.

    **Raises:** `InputError` where there are no samples, and for a name that no task has.
    """
    run = read_run(folder, scored=False)
    blocks = Blocks()
    columns = [_columns(task, blocks) for task in answered_tasks(run, tasks)]
    blocks.close()
    path = _output(run, output)
    with writing(path, field="--output"):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with unfinished.open("w", encoding="utf-8") as file:
            _write(file, run, as_index(_facts(run), columns, blocks), blocks)
        unfinished.replace(path)
    return View(
        path, sum(len(column.doc) for column in columns), len({column.task for column in columns})
    )


def _columns(task: AnsweredTask, blocks: Blocks) -> TaskColumns:
    """Its columns; its texts go into the blocks, behind those that are there."""
    columns = TaskColumns(task.record.name, task.filter, dict(task.record.higher_is_better))
    for item in task.items():
        columns.add(item)
        blocks.add(item)
    return columns


def _facts(run: Run) -> dict[str, Any]:
    return {"title": run.title, "file": run.path.name, "amplified": run.amplified}


def _output(run: Run, output: str | Path | None) -> Path:
    if output is None:
        return run.path.with_name(_NAME)
    path = expanded(output)
    return path / _NAME if is_folder(path) else path


def _write(file: TextIO, run: Run, index: str, blocks: Blocks) -> None:
    """Piece by piece: a page of a hundred thousand items is large."""
    folder = files("sna_eval.reporting.view")
    parts: Mapping[str, str] = {
        name: folder.joinpath(name).read_text("utf-8")
        for name in ("body.html", "look.css", "view.js")
    }
    style, script = f"\n{parts['look.css']}", f"\n{parts['view.js']}"
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    title = escape(f"{run.title}: items")
    file.write(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"{parts['body.html']}"
    )
    for line in scripts(index, blocks):
        file.write(f"{line}\n")
    file.write(f"<script>{script}</script>\n</body>\n</html>\n")


def _hash(text: str) -> str:
    """What a content security policy names an element's text by: no other one is run."""
    found = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{found}'"
