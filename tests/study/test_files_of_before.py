"""What an earlier version wrote is read as it was: a sweep's store, a plan, interference, units.

`tests/data/before` was written by the code of before `measuring` was a part, with the tiny model
and two of the tasks of `conftest.py`: a sweep of two configurations a task, the plan chosen from
it, that plan's interference on test items, and the units of a table of methods on one of the tasks.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from sna_eval.measuring.grid import Configuration
from sna_eval.plan import load_plan, plan_fingerprint, save_plan
from sna_eval.study.choosing import SelectOptions, select
from sna_eval.study.interference import PLAIN_TEXT, Interference
from sna_eval.study.methods.units import MethodUnits
from sna_eval.study.summary import held_out, read_measurements, summarise
from sna_eval.study.sweep import SweepStore, configuration_row, row_plan

BEFORE = Path(__file__).parent.parent / "data" / "before"
TASKS = ("own_open", "own_labels")


@pytest.fixture(scope="module")
def old() -> SweepStore:
    return SweepStore.load(BEFORE / "sweep")


def test_every_row_is_the_plan_it_was(old: SweepStore) -> None:
    """To the bit: a fingerprint takes in layer, multiplier, direction, gate and neurons."""
    rows = old.configurations().to_pylist()
    assert [(row["task"], row["multiplier"]) for row in rows] == [
        (task, multiplier) for task in TASKS for multiplier in (1.5, 3.0)
    ]
    for row in rows:
        assert plan_fingerprint(row_plan(old, row)) == row["plan_fingerprint"]
        wanted = Configuration(1, 2, row["multiplier"])
        assert Configuration.of_row(row) == wanted
        assert configuration_row(old, row["task"], wanted) == row
    assert old.items().num_rows == 2 * 2 * 6
    assert old.pending() == []


def test_the_plan_that_follows_is_the_one_that_followed(old: SweepStore, tmp_path: Path) -> None:
    """But for its bound, which now holds for the best of all, and what that rests on."""
    plan, again = BEFORE / "plan.yaml", tmp_path / "plan.yaml"
    save_plan(select(old, SelectOptions(gate="always")).plan, again)

    def others(path: Path) -> list[str]:
        new = ("lower_bound:", "n_clusters:")
        return [line for line in path.read_text().splitlines() if not line.strip().startswith(new)]

    assert others(again) == others(plan)
    save_plan(load_plan(str(plan)), again)
    assert again.read_text() == plan.read_text()


def test_interference_is_of_that_plan(old: SweepStore, tmp_path: Path) -> None:
    found = Interference.load(BEFORE / "interference")
    assert found.plan_fingerprint == plan_fingerprint(load_plan(str(BEFORE / "plan.yaml")))
    assert [source.parts for source in found.sources] == [(Configuration(1, 2, 1.5),)] * 2
    assert found.subjects == (*TASKS, PLAIN_TEXT)
    (first, second) = held_out(old, read_measurements(old), found)
    assert (first.task, second.task) == TASKS  # the store has these very neurons
    found.save(tmp_path)
    assert Interference.load(tmp_path) == found


def test_a_sweep_is_summed_up(old: SweepStore) -> None:
    summary = summarise(old)
    assert [task.task for task in summary.tasks] == list(TASKS)
    best = max(old.table("configurations", tasks=["own_open"]).to_pylist(),
               key=lambda row: row["delta_prob"])  # fmt: skip
    assert summary.tasks[0].best == Configuration.of_row(best)
    assert summary.tasks[0].best.label == f"layer 1, 2 neurons, x{best['multiplier']:g}"


@pytest.mark.parametrize("label", ["sna", "random_neurons-0"])
def test_units_of_methods_are_taken_up(label: str) -> None:
    raw = json.loads((BEFORE / "methods" / "units" / f"own_labels.{label}.json").read_text())
    settings = json.loads((BEFORE / "methods" / "settings.json").read_text())
    unit = MethodUnits(BEFORE / "methods", settings).read(
        label, "own_labels", items_hash=raw["items_hash"]
    )
    assert unit is not None
    assert unit.after == tuple(raw["after"])
    assert math.isfinite(unit.seconds)
