"""Evaluations that longer work makes: our bars are shown, lm_eval's are not."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest
from tqdm import tqdm

from sna_eval.gating import Gate
from sna_eval.harness.bars import only_ours, scoring_bar, writing_bar
from sna_eval.plan import PlannedIntervention, TaskPlan
from sna_eval.study.methods.evaluating import samples_under

PLAN = TaskPlan(Gate(mode="always"), (PlannedIntervention(1, 3.0, neurons={"": (1, 3, 4)}),))


Said = Callable[[], str]


def terminal(monkeypatch: pytest.MonkeyPatch) -> Said:
    """Says what was written since the last look, to what seems to be a terminal from here on."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)

    def look() -> str:
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return text

    return look


@pytest.mark.parametrize(
    ("name", "shown"), [("own_open", "Scoring items"), ("own_generated", "Writing texts")]
)
def test_ours_alone_are_shown(
    lm: Any,
    load: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    shown: str,
) -> None:
    (task,) = load(name).values()
    said = terminal(monkeypatch)
    samples_under(lm, name, task, PLAN, limit=4, quiet=False)
    text = said()
    assert shown in text
    assert text.endswith("\r")  # nothing is left behind
    assert "Running" not in text
    assert "Building" not in text
    samples_under(lm, name, task, PLAN, limit=4)
    assert said() == ""


def test_nobody_looks_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with only_ours(), scoring_bar(2, quiet=False) as scoring, writing_bar(2) as writing:
        scoring.update()
        writing.update()
    assert capsys.readouterr().err == ""


def test_what_is_around_it_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    said = terminal(monkeypatch)
    with pytest.raises(KeyboardInterrupt), only_ours():
        raise KeyboardInterrupt
    with tqdm(total=1, desc="Others") as others, scoring_bar(1, quiet=False) as ours:
        others.update()
        ours.update()
    text = said()
    assert "Others: 100%" in text
    assert "Scoring items: 100%" in text
