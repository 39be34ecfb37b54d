"""What goes together, as a manifest keeps it."""

from __future__ import annotations

from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.study.sweep.manifest import stored_clusters, written_clusters


def manifest(written: Any) -> dict[str, Any]:
    return {"tasks": {"t": {"clusters": written}}}


def test_there_and_back() -> None:
    written = written_clusters(["seven", "eight", "seven"])
    assert written == "0 1 0"
    assert stored_clusters(manifest(written), "t", 3).tolist() == [0, 1, 0]


def test_each_for_itself_and_stores_of_before() -> None:
    assert written_clusters(["a", "b", "c"]) == ""
    assert stored_clusters(manifest(""), "t", 3).tolist() == [0, 1, 2]
    assert stored_clusters({"tasks": {"t": {}}}, "t", 2).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("written", "message"),
    [("0 1", "expected one for each of 3 items, got 2"), ("0 x 1", "expected whole numbers"),
     (7, "expected whole numbers")],
)  # fmt: skip
def test_damaged(written: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"manifest\.tasks\.t\.clusters: {message}"):
        stored_clusters(manifest(written), "t", 3)
