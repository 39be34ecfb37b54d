"""Boundaries against cuts found by hand and by trying every one."""

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
from sna_eval.study.calibration import (
    Outcomes,
    best_cut,
    calibrate,
    find_boundaries,
    task_outcomes,
    youden,
)
from sna_eval.study.choosing import SelectOptions, select
from sna_eval.study.sweep import SweepStore, run_sweep


def _outcomes(task: str, confidence: list[float], gained: list[int]) -> Outcomes:
    return Outcomes(task, np.array(confidence), np.array(gained, dtype=bool))


def test_youden_by_hand() -> None:
    """Two of three gaining items below the cut, one of two others: 2/3 + 1/2 - 1."""
    below = np.array([1, 1, 0, 1, 0], dtype=bool)
    gained = np.array([1, 1, 1, 0, 0], dtype=bool)
    assert youden(below, gained, np.ones(5)) == pytest.approx(1 / 6)
    weights = np.array([1, 1, 2, 1, 3.0])  # 2/4 + 3/4 - 1
    assert youden(below, gained, weights) == pytest.approx(1 / 4)


def test_the_best_cut_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        confidence = rng.integers(0, 12, size=30) / 12  # with ties
        gained = rng.random(30) < 0.7 - 0.5 * confidence
        weights = rng.random(30)
        if gained.all() or not gained.any():
            continue
        cut = best_cut(confidence, gained, weights)
        tried = [youden(confidence < own, gained, weights) for own in np.linspace(-0.1, 1.2, 400)]
        assert youden(confidence < cut, gained, weights) == pytest.approx(max(tried))


def test_boundaries_by_hand() -> None:
    """Tasks a and b switch at 0.3, c at 0.5: without c the cut is 0.3, else between the items."""
    tasks = [
        _outcomes("a", [0.1, 0.2, 0.4, 0.8], [1, 1, 0, 0]),
        _outcomes("b", [0.1, 0.2, 0.4, 0.8], [1, 1, 0, 0]),
        _outcomes("c", [0.1, 0.2, 0.6, 0.8], [1, 1, 1, 0]),
    ]
    found = find_boundaries("target_prob", tasks)
    assert (found.low, found.high) == pytest.approx((0.3, 0.3))
    assert (found.n_items, found.n_gained) == (12, 7)
    # all of c's and others' items as the cut says, but the one of c at 0.6: 6/7 + 5/5 - 1
    assert found.seen == found.held_out == pytest.approx(6 / 7)


def test_disagreeing_tasks_leave_a_zone_between() -> None:
    tasks = [
        _outcomes("a", [0.1, 0.3, 0.5, 0.7], [1, 0, 0, 0]),
        _outcomes("b", [0.1, 0.3, 0.5, 0.7], [1, 1, 1, 0]),
    ]
    found = find_boundaries("target_prob", tasks)
    assert (found.low, found.high) == pytest.approx((0.2, 0.6))
    assert found.held_out < found.seen


def test_a_single_task_is_cross_validated_over_its_items() -> None:
    confidence = [n / 20 for n in range(20)]
    found = find_boundaries("margin", [_outcomes("a", confidence, [1] * 10 + [0] * 10)])
    assert 0.45 <= found.low <= found.best <= found.high <= 0.5
    assert found.seen == 1
    assert found.held_out == pytest.approx(1, abs=0.11)


@pytest.mark.parametrize("gained", [[0, 0, 0], [1, 1, 1]])
def test_nothing_to_separate(gained: list[int]) -> None:
    with pytest.raises(InputError, match="gain: expected items that gain and items that do not"):
        find_boundaries("margin", [_outcomes("a", [0.1, 0.2, 0.3], gained)])


def test_outcomes_are_the_store_s(store: SweepStore) -> None:
    plan = select(store, SelectOptions(by="mean", gate="always")).plan
    frame = store.items().to_pandas()
    for task in ("own_open", "own_labels"):
        (entry,) = plan.tasks[task].interventions
        count = len(next(iter((entry.neurons or {}).values())))
        own = frame[
            (frame["task"] == task)
            & (frame["layer"] == entry.layer)
            & (frame["n_neurons"] == count)
            & (frame["multiplier"] == entry.multiplier)
        ]
        found = task_outcomes(store, task, plan.tasks[task], gain=1.0)
        np.testing.assert_array_equal(found.confidence, own["confidence"])
        rise = (own["amplified_prob"] / own["baseline_prob"] > 1.01).tolist()
        flips = own["amplified_correct"].fillna(0).astype(int) - own["baseline_correct"].fillna(
            0
        ).astype(int)
        assert found.gained.tolist() == (rise if task == "own_open" else (flips == 1).tolist())


def test_as_typed(store: SweepStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = select(store, SelectOptions(by="mean", measure="prob", gate="confidence")).plan
    only = replace(plan, tasks={"own_open": plan.tasks["own_open"]})
    save_plan(only, tmp_path / "plan.yaml")
    typed = ["calibrate", str(store.path), "--plan", str(tmp_path / "plan.yaml")]
    typed += ["--output", str(tmp_path / "own.yaml")]
    items = store.table("items", tasks=["own_open"]).to_pandas()
    (entry,) = only.tasks["own_open"].interventions
    own = items[(items["layer"] == entry.layer) & (items["multiplier"] == entry.multiplier)]
    rise = (own["amplified_prob"] / own["baseline_prob"] - 1) * 100
    gain = float(rise.median())  # so that some items gain and some do not
    assert main([*typed, "--gain", f"{gain!r}"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("target_prob: low ")
    assert shown[-1].startswith(f"{tmp_path / 'own.yaml'}: plan ")
    gate = load_plan(tmp_path / "own.yaml").tasks["own_open"].gate
    _, (found,) = calibrate(store, only, gain=gain)
    assert (gate.low, gate.high) == (found.low, found.high)
    assert gate.signal == "target_prob"
    (written,) = load_plan(tmp_path / "own.yaml").tasks["own_open"].interventions
    recorded = written.chosen
    (before,) = (one.chosen for one in only.tasks["own_open"].interventions)
    inside = own[own["n_neurons"] == len((entry.neurons or {})[""])]
    changes = inside["amplified_prob"] - inside["baseline_prob"]
    opens = inside["confidence"] < gate.low
    assert recorded.gain == pytest.approx(changes.where(opens, 0.0).mean())
    assert recorded.fingerprint != before.fingerprint
    assert recorded.measure == before.measure
    assert main([*typed, "--gain", "1e9"]) == 2
    assert "gain: expected items that gain and items that do not" in capsys.readouterr().err


def test_wrong_plans_and_stores(
    store: SweepStore, sweep_of: Callable[..., Any], tmp_path: Path
) -> None:
    plan = select(store, SelectOptions(by="mean")).plan
    own = plan.tasks["own_open"]
    elsewhere = replace(own, interventions=(replace(own.interventions[0], multiplier=9.0),))
    with pytest.raises(InputError, match="expected one configuration of the store, got 'layer"):
        calibrate(store, replace(plan, tasks={"own_open": elsewhere}))
    (entry,) = own.interventions
    numbers = (entry.neurons or {})[""]
    others = {"": tuple(sorted(set(range(99)) - set(numbers))[: len(numbers)])}
    swapped = replace(own, interventions=(replace(entry, neurons=others),))
    with pytest.raises(InputError, match=r"one configuration of the store, .* with other neurons"):
        calibrate(store, replace(plan, tasks={"own_open": swapped}))
    with pytest.raises(InputError, match="plan: expected an entry for a task of the store"):
        calibrate(store, replace(plan, tasks={"another": own}))
    other = replace(own, gate=replace(own.gate, signal="entropy"))
    with pytest.raises(InputError, match="expected target_prob, as the store holds it"):
        calibrate(store, replace(plan, tasks={"own_open": other}))
    tested = run_sweep(sweep_of("own_open", split="test", layers=(0,)), tmp_path, quiet=True)
    with pytest.raises(InputError, match=r"store\.split: expected development items to calibrate"):
        calibrate(tested, plan)
