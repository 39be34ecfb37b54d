"""Every name that the page on the code's layout gives in full exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "code.md"
_NAME = re.compile(r"`((?:app|gating|harness|measuring|neurons|plan|study)(?:\.\w+)+)`")


def exists(name: str) -> bool:
    """Whether the package has a module, or something in a module, of that name."""
    parts = ["sna_eval", *name.split(".")]
    for size in range(len(parts), 1, -1):
        module = ".".join(parts[:size])
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise
            continue
        for part in parts[size:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_names_of_the_walks_exist() -> None:
    names = _NAME.findall(PAGE.read_text(encoding="utf-8"))
    assert len(names) > 20
    assert [name for name in names if not exists(name)] == []


@pytest.mark.parametrize(
    "name", ["measuring.grid.Grid.nowhere", "measuring.nowhere.Grid", "nowhere"]
)
def test_others_do_not(name: str) -> None:
    assert not exists(name)
