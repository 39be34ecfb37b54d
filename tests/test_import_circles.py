"""The check that `make lint` runs: it finds circles of files, and this package has none."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import import_circles

PACKAGE = Path(__file__).parent.parent / "sna_eval"


def written(folder: Path, **files: str) -> Path:
    """A package of files with the given content."""
    package = folder / "own"
    package.mkdir()
    for name, text in {"__init__": "", **files}.items():
        (package / f"{name}.py").write_text(text)
    return package


@pytest.mark.parametrize(
    "back",
    ["import own.first", "from own import first", "def late():\n    from own.first import x"],
)
def test_a_circle_is_named(tmp_path: Path, back: str) -> None:
    package = written(
        tmp_path, first="from own.second import y", second="import own.third", third=back
    )
    circle = import_circles.circle_in(import_circles.import_graph(package))
    assert circle[0] == circle[-1]
    assert set(circle) == {"own.first", "own.second", "own.third"}
    following = {"own.first": "own.second", "own.second": "own.third", "own.third": "own.first"}
    assert all(following[one] == other for one, other in pairwise(circle))


def test_types_may_speak_of_each_other(tmp_path: Path) -> None:
    late = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from own.first import x"
    package = written(tmp_path, first="from own.second import y", second=late)
    assert import_circles.circle_in(import_circles.import_graph(package)) == []


def test_what_is_taken_from_a_package_depends_on_its_own_file(tmp_path: Path) -> None:
    package = written(tmp_path, __init__="from own.first import x", first="from own import second",
                      second="")  # fmt: skip
    assert import_circles.circle_in(import_circles.import_graph(package)) == []
    (package / "second.py").write_text("from own import x")
    circle = import_circles.circle_in(import_circles.import_graph(package))
    assert set(circle) == {"own", "own.first", "own.second"}


def test_this_package_has_none() -> None:
    graph = import_circles.import_graph(PACKAGE)
    assert graph["sna_eval.measuring.task_grid"] >= {"sna_eval.measuring.grid"}
    assert import_circles.circle_in(graph) == []


def test_the_command_says_it_and_fails(tmp_path: Path) -> None:
    package = written(tmp_path, first="import own.second", second="import own.first")
    command = [sys.executable, import_circles.__file__, str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("a circle of imports: own.")
