"""A plan's interventions for use without lm_eval."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest
import torch

import sna_eval
from sna_eval.errors import InputError
from sna_eval.plan import parse_plan
from tests.conftest import build_model, token_ids


def plan(**entry: Any) -> sna_eval.Plan:
    settings = {"layer": 1, "multiplier": 3.0, "neurons": [2, 5], **entry}
    return parse_plan({"version": 1, "tasks": {"sums_*": {"interventions": [settings]}}})


def test_names_what_a_task_gets() -> None:
    assert plan().for_task("sums_easy") == (sna_eval.Intervention(1, (2, 5), 3.0),)


def test_both_labels_at_once() -> None:
    (only,) = plan(neurons={"a": [1, 4], "b": [3]}).for_task("sums_easy")
    assert only == sna_eval.Intervention(1, (1, 4, 3), 3.0)


def test_amplifies_and_leaves_nothing_behind() -> None:
    model, ids = build_model("gpt2"), token_ids(1, 6)
    with torch.no_grad():
        before = model(ids).logits
        with sna_eval.amplify(model, plan().for_task("sums_easy")):
            assert not torch.equal(model(ids).logits, before)
        assert torch.equal(model(ids).logits, before)


@pytest.mark.parametrize(
    ("entry", "task", "message"),
    [
        ({}, "poems", r"task: expected one of sums_\*, got 'poems'"),
        ({"neurons": None, "select": {}}, "sums_easy", "not resolved yet.*sna-eval identify"),
        ({"direction": "predicted"}, "sums_easy", "a label where there are no choices"),
    ],
)
def test_refuses(entry: dict[str, Any], task: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(**entry).for_task(task)


def test_public_names_are_there() -> None:
    for name in sna_eval.__all__:
        assert getattr(sna_eval, name) is not None
    assert set(sna_eval.__all__) < set(dir(sna_eval))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sna_eval.nothing


def test_bundled_paths() -> None:
    assert Path(sna_eval.reference_model_path(), "config.json").is_file()
    assert Path(sna_eval.tasks_path(), "sna_sst2.yaml").is_file()


def test_the_package_docstring_holds() -> None:
    outcome = doctest.testmod(sna_eval)
    assert outcome.attempted >= 3
    assert outcome.failed == 0
