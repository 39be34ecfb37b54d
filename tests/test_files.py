"""A file is there whole, as it was before, or not at all."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sna_eval.files import PART, write_whole, write_whole_json


def test_makes_its_folder_and_leaves_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b.json"
    write_whole_json(file, {"x": [1, "é"]})
    assert file.read_text() == '{"x": [1, "\\u00e9"]}\n'
    write_whole(file, b"again")
    assert file.read_bytes() == b"again"
    assert list(file.parent.iterdir()) == [file]


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    write_whole(file, b"before")

    def full(number: int) -> None:
        assert len(list(tmp_path.glob(PART))) == 1  # it is under way, under another name
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"after")
    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]


def test_others_may_read_it_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    file = tmp_path / ("n" * 200 + ".json")

    def write(number: int) -> Any:
        write_whole(file, bytes([number]) * 10_000)
        return set(file.read_bytes())

    with ThreadPoolExecutor(8) as pool:
        assert all(len(one) == 1 for one in pool.map(write, range(64)))
