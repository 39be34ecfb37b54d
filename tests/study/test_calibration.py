"""Boundaries by hand, in noise, and from a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.plan import load_plan, save_plan
from sna_eval.study.calibration import TaskOutcomes, calibrate, find_boundaries, task_outcomes
from sna_eval.study.choosing import SelectOptions, select
from sna_eval.study.statistics import GatedItems
from sna_eval.study.sweep import SweepStore, run_sweep


def _outcomes(confidence: Any, gains: Any) -> TaskOutcomes:
    table = np.atleast_2d(np.asarray(gains, dtype=float))
    items = GatedItems(np.asarray(confidence), table, table, np.arange(table.shape[1]))
    return TaskOutcomes(items, 0)


def test_boundaries_by_hand() -> None:
    """Forty items that are won below 0.5 and lost above; those at 0, 1/4, 1/2 and 3/4 are not."""
    confidence = np.arange(40) / 40
    gains = np.where(confidence < 0.5, 1.0, -1.0)
    gains[::10] *= -1
    found = find_boundaries("margin", {"a": _outcomes(confidence, gains)})
    assert found.low == pytest.approx(0.5125)
    assert found.seen == pytest.approx((19 - 2) / 40)
    assert 0.3 < found.gain <= found.seen
    assert found.won - found.lost == pytest.approx(found.gain)
    assert found.low <= found.high < 0.6
    assert found.kept
    assert (found.n_items, found.n_clusters, found.tasks) == (40, 40, ("a",))


def test_losses_count() -> None:
    """Won where it is unsure and as often lost there: Youden's J would have kept that gate."""
    confidence = np.arange(60) / 60
    gains = np.where(confidence < 0.5, np.tile([1.0, -1.0], 30), 0.0)
    found = find_boundaries("margin", {"a": _outcomes(confidence, gains)})
    assert not found.kept
    assert found.gain <= 0


@pytest.mark.parametrize("worth", [0.0, -1.0])
def test_nothing_won_is_no_gate(worth: float) -> None:
    found = find_boundaries("margin", {"a": _outcomes(np.arange(20) / 20, np.full(20, worth))})
    assert (found.gain, found.seen, found.kept) == (0.0, 0.0, False)


def test_outcomes_are_the_store_s(store: SweepStore) -> None:
    plan = select(store, SelectOptions(by="mean", gate="always")).plan
    frame = store.items().to_pandas()
    for task in ("own_open", "own_labels"):
        (entry,) = plan.tasks[task].interventions
        count = len(next(iter((entry.neurons or {}).values())))
        rows = frame[
            (frame["task"] == task)
            & (frame["layer"] == entry.layer)
            & (frame["n_neurons"] == count)
            & (frame["multiplier"] == entry.multiplier)
        ]
        found = task_outcomes(store, task, plan.tasks[task], gain=1.0)
        np.testing.assert_array_equal(found.items.confidence, rows["confidence"])
        odds = [
            rows[f"{state}_prob"] / (1 - rows[f"{state}_prob"])
            for state in ("amplified", "baseline")
        ]
        ratio = odds[0] / odds[1]
        rise = (ratio > 1.01).astype(int) - (ratio < 1 / 1.01).astype(int)
        flips = rows["amplified_correct"].fillna(0).astype(int) - rows["baseline_correct"].fillna(
            0
        ).astype(int)
        expected = rise if task == "own_open" else flips
        assert found.items.gains[found.chosen].tolist() == expected.tolist()
        grid = store.manifest["tasks"][task]["grid"]
        assert len(found.items.gains) == len(grid["layers"]) * len(grid["n_neurons"]) * len(
            grid["multipliers"]
        ) * len(grid["directions"]), "the choice is made anew among all of them"


def test_as_typed(store: SweepStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model of random weights: nothing is gained, no gate is kept, and the plan stays."""
    plan = select(store, SelectOptions(by="mean", measure="prob", gate="confidence")).plan
    only = replace(plan, tasks={"own_open": plan.tasks["own_open"]})
    save_plan(only, tmp_path / "plan.yaml")
    typed = ["calibrate", str(store.path), "--plan", str(tmp_path / "plan.yaml")]
    typed += ["--output", str(tmp_path / "own.yaml")]
    assert main([*typed, "--gain", "1e9"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("target_prob: no boundaries are kept, no gain is sure: low ")
    assert shown[-1].startswith(f"{tmp_path / 'own.yaml'}: plan ")
    assert load_plan(tmp_path / "own.yaml") == load_plan(tmp_path / "plan.yaml")
    assert main([*typed, "--gain", "-1"]) == 2
    assert "gain: expected 0 or more percent, got -1.0" in capsys.readouterr().err


def test_a_gate_that_gains_is_written(
    store: SweepStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every item is won by every configuration: the gate opens for all, and the record says so."""
    plan = select(store, SelectOptions(by="mean", measure="prob", gate="confidence")).plan
    only = replace(plan, tasks={"own_open": plan.tasks["own_open"]})
    items = store.table("items", tasks=["own_open"]).num_rows
    monkeypatch.setattr("sna_eval.study.calibration._gains", lambda *given: np.ones(items))
    calibrated, (found,) = calibrate(store, only)
    assert found.kept
    assert found.gain > 0.8  # an item surer than all others may be left out
    assert found.lost == 0
    gate = calibrated.tasks["own_open"].gate
    assert (gate.low, gate.high, gate.signal) == (found.low, found.high, "target_prob")
    ((before,), (entry,)) = (p.tasks["own_open"].interventions for p in (only, calibrated))
    frame = store.items().to_pandas()
    rows = frame[
        (frame["task"] == "own_open") & (frame["layer"] == entry.layer)
        & (frame["n_neurons"] == entry.n_neurons) & (frame["multiplier"] == entry.multiplier)
    ]  # fmt: skip
    changes = rows["amplified_prob"] - rows["baseline_prob"]
    assert (rows["confidence"] < gate.low).all()
    assert entry.chosen is not None
    assert before.chosen is not None
    assert entry.chosen.gain == pytest.approx(changes.mean())
    assert entry.chosen.fingerprint != before.chosen.fingerprint
    assert entry.chosen.measure == before.chosen.measure
    assert entry.chosen.n_clusters == len(changes)


def test_wrong_plans_and_stores(
    store: SweepStore, sweep_of: Callable[..., Any], tmp_path: Path
) -> None:
    plan = select(store, SelectOptions(by="mean")).plan
    of_task = plan.tasks["own_open"]
    elsewhere = replace(of_task, interventions=(replace(of_task.interventions[0], multiplier=9.0),))
    with pytest.raises(InputError, match="expected one configuration of the store, got 'layer"):
        calibrate(store, replace(plan, tasks={"own_open": elsewhere}))
    (entry,) = of_task.interventions
    numbers = (entry.neurons or {})[""]
    others = {"": tuple(sorted(set(range(99)) - set(numbers))[: len(numbers)])}
    swapped = replace(of_task, interventions=(replace(entry, neurons=others),))
    with pytest.raises(InputError, match=r"one configuration of the store, .* with other neurons"):
        calibrate(store, replace(plan, tasks={"own_open": swapped}))
    with pytest.raises(InputError, match="plan: expected an entry for a task of the store"):
        calibrate(store, replace(plan, tasks={"another": of_task}))
    other = replace(of_task, gate=replace(of_task.gate, signal="entropy"))
    with pytest.raises(InputError, match="expected target_prob, as the store holds it"):
        calibrate(store, replace(plan, tasks={"own_open": other}))
    tested = run_sweep(sweep_of("own_open", split="test", layers=(0,)), tmp_path, quiet=True)
    with pytest.raises(InputError, match=r"store\.split: expected development items to calibrate"):
        calibrate(tested, plan)
