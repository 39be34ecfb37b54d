"""Every test that the reliability page names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
_NAMED = re.compile(r"`(?P<path>tests/[\w/.]+)?(?:::(?P<test>\w+))?`")


def named(text: str) -> list[tuple[str, str | None]]:
    """Files or folders, and the test in them, if any; `::test` goes with the path before it."""
    found: list[tuple[str, str | None]] = []
    for match in _NAMED.finditer(text):
        path, test = match["path"], match["test"]
        if path or test:
            found.append((path or found[-1][0], test))
    return found


def missing(path: str, test: str | None) -> bool:
    """Whether there is no such file or folder, or no such test in it."""
    place = ROOT / path
    if test is None:
        return not place.exists()
    if not place.is_file():
        return True
    tree = ast.parse(place.read_text(encoding="utf-8"))
    return test not in {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not [entry for entry in named(text) if missing(*entry)]


def test_every_row_of_a_table_names_a_test() -> None:
    promises, _, _ = PAGE.read_text(encoding="utf-8").partition("## Real weights")
    rows = [line for line in promises.splitlines() if line[:1] == "|"]
    rows = [row for row in rows if not row.startswith(("|---", "| fault", "| file"))]
    assert len(rows) >= 30
    assert not [row for row in rows if not named(row)]


def test_a_wrong_name_is_noticed() -> None:
    page = "`tests/docs/test_reliability.py::test_none`, `::absent`, `tests/nowhere.py`"
    assert named(page) == [
        ("tests/docs/test_reliability.py", "test_none"),
        ("tests/docs/test_reliability.py", "absent"),
        ("tests/nowhere.py", None),
    ]
    assert all(missing(*entry) for entry in named(page))
    made = [
        ("tests/docs/test_reliability.py", "test_a_wrong_name_is_noticed"),
        ("tests/docs", None),
    ]
    assert not any(missing(*entry) for entry in made)
