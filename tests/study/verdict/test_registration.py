"""A registration says what it is about, and is refused once it says something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sna_eval.errors import InputError
from sna_eval.study.verdict import RegisterOptions, Registration, load_registration, register
from sna_eval.study.verdict.registration import Limits


def test_it_is_read_as_it_was_written(registration: Registration, tmp_path: Path) -> None:
    path = tmp_path / "reg.yaml"
    registration.save(path)
    assert load_registration(path) == registration
    content = yaml.safe_load(path.read_text())
    assert content["registration"] == registration.hash
    task = content["tasks"]["own_open"]
    assert task["test"]["items"] == 6
    assert task["gate"]["signal"] == "max_prob"
    assert content["tasks"]["own_choices"]["gate"]["signal"] == "margin"
    assert content["endpoints"].keys() == {"H1", "H2", "H3", "H4", "H5"}


@pytest.mark.parametrize(
    ("old", "new"),
    [("draws: 3", "draws: 4"), ("smallest: 0.1", "smallest: 0.2"), ("alpha: 0.05", "alpha: 0.5")],
)
def test_whatever_is_changed_is_noticed(
    registration: Registration, tmp_path: Path, old: str, new: str
) -> None:
    path = tmp_path / "reg.yaml"
    registration.save(path)
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match="changed after it was written"):
        load_registration(path)


@pytest.mark.parametrize("text", ["", "[1]", "version: 1", "{"])
def test_what_is_no_registration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reg.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="expected a registration"):
        load_registration(path)


def test_draws_follow_from_the_tasks(
    lm: Any, asked: Callable[..., RegisterOptions], registration: Registration
) -> None:
    assert registration.correction == "none"  # three draws stand no adjustment
    one = register(lm, replace(asked(), draws=None), quiet=True)
    assert (one.search.draws, one.correction) == (99, "holm")


@pytest.mark.parametrize("name", ["alpha", "smallest", "harm"])
def test_limits_are_numbers_that_can_be_reached(name: str) -> None:
    with pytest.raises(InputError, match=f"limits.{name}"):
        Limits(**{name: 0.0})
