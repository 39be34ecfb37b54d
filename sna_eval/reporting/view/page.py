"""The page itself: one HTML file that asks nothing of any network.

All of it that comes from models and data sets lies in packed blocks and is put on the page as text;
a policy in its head forbids whatever else a document might try to make of it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

from sna_eval.errors import InputError, reading, writing
from sna_eval.given_paths import expanded, is_folder
from sna_eval.reporting.view.data import Blocks, TaskColumns, as_index, scripts
from sna_eval.study.results.answers import answers_of
from sna_eval.study.results.locating import sample_file
from sna_eval.study.results.reading import read_run
from sna_eval.study.results.records import Run, TaskRecord
from sna_eval.study.results.samples import read_samples

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
    wanted = _wanted(run, tasks)
    blocks = Blocks()
    columns = [own for name in wanted for own in _columns(run.tasks[name], wanted[name], blocks)]
    blocks.close()
    path = _output(run, output)
    with writing(path, field="--output"):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with unfinished.open("w", encoding="utf-8") as file:
            _write(file, run, as_index(_facts(run), columns, blocks), blocks)
        unfinished.replace(path)
    return View(path, sum(len(own.doc) for own in columns), len(wanted))


def _wanted(run: Run, tasks: Sequence[str]) -> dict[str, Path]:
    """Sample files of the tasks that are shown."""
    found = {name: sample_file(run.path, name) for name in run.tasks}
    known = {name: path for name, path in found.items() if path is not None}
    if not known:
        raise InputError(
            str(run.path), expected="samples beside the result file", got="none",
            hint="run lm_eval with --log_samples",
        )  # fmt: skip
    for wanted in tasks:
        if not any(fnmatchcase(name, wanted) for name in known):
            raise InputError("tasks", expected=f"one of {', '.join(known)}", got=wanted)
    return {
        name: path
        for name, path in known.items()
        if not tasks or any(fnmatchcase(name, own) for own in tasks)
    }


def _columns(record: TaskRecord, path: Path, blocks: Blocks) -> Iterator[TaskColumns]:
    """One for each filter; their items come one after another in the blocks."""
    filters = list(dict.fromkeys(sample.filter for sample in read_samples(path)))
    for name in filters:
        own = TaskColumns(record.name, name, dict(record.higher_is_better))
        for sample in read_samples(path):
            if sample.filter == name:
                with reading(sample.place, expected="a sample of lm_eval's", got=sample.raw):
                    item = answers_of(sample)
                own.add(item)
                blocks.add(item)
        yield own


def _facts(run: Run) -> dict[str, Any]:
    return {"title": run.title, "file": run.path.name, "amplified": run.amplified}


def _output(run: Run, output: str | Path | None) -> Path:
    if output is None:
        return run.path.with_name(_NAME)
    path = expanded(output)
    return path / _NAME if is_folder(path) else path


def _write(file: TextIO, run: Run, index: str, blocks: Blocks) -> None:
    """Piece by piece: a page of a hundred thousand items is large."""
    own = files("sna_eval.reporting.view")
    parts: Mapping[str, str] = {
        name: own.joinpath(name).read_text("utf-8") for name in ("body.html", "look.css", "view.js")
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
