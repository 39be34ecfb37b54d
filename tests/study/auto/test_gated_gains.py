"""Development against test behind the gate, from what lm_eval really wrote."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from sna_eval.cache import cache_dir
from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.plan import load_plan, save_plan
from sna_eval.study.summary import gated_gains
from tests.study.auto.conftest import Run

AUTO = {"plan": "auto", "auto_budget": 8, "gate": "max_prob", "low": 0.5, "high": 0.9}


def test_both_gains_by_hand(run: Run, tmp_path: Path) -> None:
    results = run("own_three", output=tmp_path, **AUTO)
    scores = [sample["resps"][0][0][0] for sample in results["samples"]["own_three"]]
    changes = [np.exp(score) - np.exp(score.evidence.baseline) for score in scores]
    (found,) = gated_gains(tmp_path, draws=500)
    assert found.test == pytest.approx(np.mean(changes), rel=1e-5, abs=1e-15)
    assert min(changes) <= found.low <= found.test <= found.high <= max(changes)
    assert (found.n_test, found.n_development) == (7, 8)
    opened = [score.evidence.amplified for score in scores]
    assert found.amplified == pytest.approx(np.mean(opened))
    assert any(opened)
    (entry,) = load_plan(results["config"]["sna"]["plan_file"]).tasks["own_three"].interventions
    chosen = entry.chosen
    assert found.development == chosen.gain
    assert found.curse == pytest.approx(chosen.gain - np.mean(changes), rel=1e-4)
    assert not found.sees_answer


def test_the_report_shows_them(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("own_three", output=tmp_path / "out", **AUTO)
    (store,) = (cache_dir() / "auto").iterdir()
    page = tmp_path / "page.html"
    typed = ["report", str(store), "--results", str(tmp_path / "out"), "--draws", "200"]
    assert main([*typed, "--output", str(page)]) == 0
    (found,) = gated_gains(tmp_path / "out", draws=200)
    text = unescape(page.read_text(encoding="utf-8"))
    assert "Development against test" in text
    assert f"<td>{found.test:+.4f}</td>" in text
    assert f"<td>{found.low:+.4f} to {found.high:+.4f}</td>" in text
    assert f"--results {tmp_path / 'out'}" in text
    assert (tmp_path / "figures" / "gated.svg").exists()


def test_a_run_that_nothing_was_chosen_for(run: Run, tmp_path: Path) -> None:
    run("own_three", output=tmp_path, layer=1, neurons="3;4", multiplier=2.0, gate="always")
    with pytest.raises(InputError, match="results: expected a run of a plan chosen by `prob`"):
        gated_gains(tmp_path)


def test_what_was_changed_after_the_choice_was_not_chosen(run: Run, tmp_path: Path) -> None:
    """A gain behind one gate stood beside the test gain behind another, as the winner's curse."""
    first = run("own_three", output=tmp_path / "auto", **AUTO)
    plan = load_plan(first["config"]["sna"]["plan_file"])
    (again,) = gated_gains(tmp_path / "auto", draws=50)
    save_plan(plan, tmp_path / "same.yaml")
    run("own_three", output=tmp_path / "same", plan=str(tmp_path / "same.yaml"))
    assert gated_gains(tmp_path / "same", draws=50) == (again,)
    made = plan.tasks["own_three"]
    (entry,) = made.interventions
    fewer = {label: sets[:-1] for label, sets in (entry.neurons or {}).items()}
    cut = replace(made, interventions=(replace(entry, neurons=fewer, scores=None),))
    save_plan(replace(plan, tasks={"own_three": cut}), tmp_path / "cut.yaml")
    for name, arguments in (
        ("gate", {"plan": str(tmp_path / "same.yaml"), "gate": "always"}),
        ("cut", {"plan": str(tmp_path / "cut.yaml")}),
    ):
        run("own_three", output=tmp_path / name, **arguments)
        with pytest.raises(InputError, match=r"results: .* its gates and neurons unchanged"):
            gated_gains(tmp_path / name, draws=50)
