"""A verdict: only on what was registered, the same after a stop, test items opened once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sna_eval.errors import InputError
from sna_eval.reporting.verdict import write_verdict
from sna_eval.study.nulls.records import CLAIM
from sna_eval.study.verdict import Registration, Verdict, reach_verdict
from sna_eval.study.verdict import running as running_module
from sna_eval.study.verdict.opened import openings


@pytest.fixture
def path(registration: Registration, tmp_path: Path, no_cache: None) -> Path:
    file = tmp_path / "reg.yaml"
    registration.save(file)
    return file


def test_a_verdict_and_its_page(lm: Any, registration: Registration, path: Path) -> None:
    output = path.parent / "out"
    found = reach_verdict(lm, registration, path, output, quiet=True)
    content = json.loads(found.save(output).read_text())
    assert content.keys() == {"own_open", "own_choices"}
    for task in content.values():
        assert list(task) == ["H1", "H2", "H3", "H4", "H5"]
        for judged in task.values():
            assert judged.keys() == {"estimate", "interval", "p", "draws", "verdict"}
            assert judged["verdict"] in ("shown", "excluded", "undecided at this n")
        assert [judged["p"] for judged in task.values()] == sorted(
            judged["p"] for judged in task.values()
        )
        assert task["H1"]["draws"] == 3
        assert task["H1"]["p"] in (0.25, 0.5, 0.75, 1.0)
    searches = pd.read_csv(output / "searches.csv")
    assert len(searches) == 2 * (1 + 3)
    claims = searches[searches["ranking"] == "claim"].set_index("task")
    assert claims["gain"]["own_open"] == found.tasks["own_open"].null.claim.gain
    task = found.tasks["own_open"]
    assert task.null.claim.draw == CLAIM
    assert [rival.name for rival in task.others] == ["own_choices"]
    page = write_verdict(found, output / "index.html", opened=openings(registration, path))
    text = page.read_text()
    assert registration.hash in text
    assert text.count("<img") == 8
    assert text.index("In short</h2>") < text.index("<img") < text.index("Verdicts</h2>")
    assert "not confirmed" not in text


def test_a_stopped_run_ends_with_the_same_bytes(
    lm: Any, registration: Registration, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _bytes(reach_verdict(lm, registration, path, path.parent / "whole", quiet=True), path)

    def stop(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    cut = path.parent / "cut"
    with monkeypatch.context() as patch:
        patch.setattr(running_module, "other_claims", stop)
        with pytest.raises(KeyboardInterrupt):
            reach_verdict(lm, registration, path, cut, quiet=True)
    assert _bytes(reach_verdict(lm, registration, path, cut, quiet=True), path) == whole
    with monkeypatch.context() as patch:  # what is there is not measured again
        patch.setattr(running_module, "task_rivals", stop)
        assert _bytes(reach_verdict(lm, registration, path, cut, quiet=True), path) == whole


def _bytes(found: Verdict, path: Path) -> bytes:
    return found.save(path.parent / "bytes").read_bytes()


def test_other_models_and_other_items_are_refused(
    lm: Any, registration: Registration, path: Path
) -> None:
    other = replace(registration, model=replace(registration.model, hash="0" * 16))
    with pytest.raises(InputError, match="expected the model with the registered hash 0000"):
        reach_verdict(lm, other, path, path.parent / "out", quiet=True)
    task = registration.tasks["own_open"]
    changed = replace(task, test=replace(task.test, hash="1" * 16))
    data = replace(registration, tasks={**registration.tasks, "own_open": changed})
    with pytest.raises(InputError, match=r"tasks\.own_open\.test: expected items with the"):
        reach_verdict(lm, data, path, path.parent / "out", quiet=True)
    assert openings(registration, path) == ()  # nothing was scored


def test_a_folder_belongs_to_one_registration(
    lm: Any, registration: Registration, path: Path
) -> None:
    output = path.parent / "out"
    reach_verdict(lm, registration, path, output, quiet=True)
    other = replace(registration, limits=replace(registration.limits, smallest=0.3))
    with pytest.raises(InputError, match="output"):
        reach_verdict(lm, other, path, output, quiet=True)


def test_openings_are_told(lm: Any, registration: Registration, path: Path) -> None:
    assert openings(registration, path) == ()
    for name in ("first", "first", "second"):
        reach_verdict(lm, registration, path, path.parent / name, quiet=True)
    found = openings(registration, path)
    assert [Path(opening.output).name for opening in found] == ["first", "second"]
    again = replace(registration, limits=replace(registration.limits, smallest=0.3))
    elsewhere = path.parent / "other.yaml"
    assert len(openings(again, elsewhere)) == 2  # the same items, by another registration
