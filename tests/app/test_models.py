"""Models are loaded once for all who ask, and what is no model is one message."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sna_eval.app.core import models
from sna_eval.app.core.models import Shelf
from sna_eval.app.core.workspace import Workspace
from sna_eval.errors import InputError


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that were loaded, by a loader that only notes them."""
    names: list[str] = []

    def load(name: str) -> Workspace:
        names.append(name)
        if name == "broken":
            raise InputError("model", expected="x", got=name)
        return Workspace(name, None)

    monkeypatch.setattr(models, "_load", load)
    return names


def test_loaded_once_for_all_threads(loaded: list[str]) -> None:
    shelf = Shelf()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(shelf.get, ["a", " a", "b", "a", "b ", "a", "b", "a"]))
    assert sorted(loaded) == ["a", "b"]
    assert len(set(map(id, found))) == 2
    assert shelf.is_ready("a")


def test_the_model_used_longest_ago_goes_first(loaded: list[str]) -> None:
    shelf = Shelf()
    for name in ("a", "b", "a", "c"):
        shelf.get(name)
    assert [shelf.is_ready(name) for name in ("a", "b", "c")] == [True, False, True]


def test_a_failure_is_told_to_whoever_asks(loaded: list[str]) -> None:
    shelf = Shelf()
    shelf.prepare("broken")  # ahead of time: nobody is there to be told
    with pytest.raises(InputError, match="model: expected x"):
        shelf.get("broken")
    assert loaded == ["broken", "broken"]


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name(name: str) -> None:
    with pytest.raises(InputError, match="model: expected a hub name or a folder, got ''"):
        Shelf().get(name)


def test_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"^(model|pretrained): expected") as raised:
        Shelf().get(str(tmp_path))
    assert "\n" not in str(raised.value)
