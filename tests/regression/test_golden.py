"""The bundled model answers as it did: both scores and the decision, for every bundled task.

`python scripts/golden_scores.py` writes what is expected, from full passes of one item each; here
the fast path answers in batches.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from golden_scores import ITEMS, scores

ROOT = Path(__file__).resolve().parents[2]

GOLDEN: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "golden.json").read_text(encoding="utf-8")
)
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def answers(shared_data: Path) -> dict[str, list[dict[str, Any]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNA_EVAL_SST2", str(shared_data / "sst2"))
        return scores(batch_size=16, strict=False)


def test_every_task_is_there(answers: Any) -> None:
    assert answers.keys() == GOLDEN.keys()
    assert len(GOLDEN) == 14
    assert all(len(items) == ITEMS for items in GOLDEN.values())


@pytest.mark.parametrize("key", ["baseline_scores", "scores"])
def test_scores(answers: Any, key: str) -> None:
    for task, items in GOLDEN.items():
        got = [value for item in answers[task] for value in item[key]]
        expected = [value for item in items for value in item[key]]
        assert got == pytest.approx(expected, abs=TOLERANCE), task


@pytest.mark.parametrize("key", ["amplified", "zone", "greedy"])
def test_decisions(answers: Any, key: str) -> None:
    for task, items in GOLDEN.items():
        assert [item[key] for item in answers[task]] == [item[key] for item in items], task


def test_they_show_both_models() -> None:
    """Some items are amplified and change, some are not and do not."""
    items = [item for one in GOLDEN.values() for item in one]
    opened = [item for item in items if item["amplified"]]
    assert 10 < len(opened) < len(items) - 10
    assert all(item["scores"] != item["baseline_scores"] for item in opened)
    closed = [item for item in items if not item["amplified"]]
    assert all(item["scores"] == item["baseline_scores"] for item in closed)
