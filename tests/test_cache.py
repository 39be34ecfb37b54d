"""Where searches are kept, and that a folder nobody can write costs nothing but the search."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from sna_eval.cache import cache_dir, read_entry, write_entry


def test_the_variable_the_systems_folder_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "system"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_dir() == tmp_path / "own"
    monkeypatch.delenv("SNA_EVAL_CACHE")
    assert cache_dir() == tmp_path / "system" / "sna-eval"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == tmp_path / "home" / ".cache" / "sna-eval"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SNA_EVAL_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert cache_dir() == Path(tempfile.gettempdir()) / "sna-eval"


def test_an_entry_comes_back_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path / "made" / "when" / "needed"))
    write_entry("one", {"neurons": (1, 2), "1": "é"})
    assert read_entry("one") == {"neurons": [1, 2], "1": "é"}
    assert read_entry("two") is None
    assert [path.name for path in cache_dir().iterdir()] == ["one.json"]


def test_a_folder_that_cannot_be_made_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SNA_EVAL_CACHE", str(tmp_path / "file" / "cache"))
    write_entry("one", {"neurons": [1]})
    assert read_entry("one") is None
    assert (tmp_path / "file").read_text() == "in the way"
