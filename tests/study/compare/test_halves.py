"""The two halves of one `sna` run are the runs they claim to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.gating import DESCRIPTIVE
from sna_eval.study.compare import Options, compare, read_run, split

OPTIONS = Options(tasks=("sna_math_easy", "sna_coding_*", "own_*"), draws=500)


def test_halves_equal_two_runs(plain_run: Path, amplified_run: Path) -> None:
    """Against a run of plain `hf` the same numbers come out as from the run's own baseline."""
    halves = compare(*split(read_run(amplified_run)), OPTIONS)
    runs = compare(read_run(plain_run), read_run(amplified_run), OPTIONS)
    assert len(halves.rows) == len(runs.rows) == 9
    assert {"own_choices", "own_rolling"} < {row.task for row in halves.rows}  # no metrics of ours
    for half, other in zip(halves.rows, runs.rows, strict=True):
        assert (half.task, half.metric) == (other.task, other.metric)
        assert half.effect.before == pytest.approx(other.effect.before, rel=1e-6, abs=1e-7)
        assert half.effect.after == other.effect.after
        assert half.effect.test != "unpaired z"
        assert (half.effect.better, half.effect.worse) == (other.effect.better, other.effect.worse)
        assert half.effect.p == pytest.approx(other.effect.p)


def test_halves_say_what_they_are(amplified_run: Path) -> None:
    baseline, amplified = split(read_run(amplified_run))
    assert baseline.title.endswith(", baseline")
    assert amplified.title.endswith(", amplified")
    assert {name.metric for name in amplified.tasks["own_choices"].scores} == {"acc", "acc_norm"}
    assert {name.metric for name in baseline.tasks["sna_math_easy"].scores} == {"acc", "prob"}


@pytest.mark.parametrize(
    ("said", "caution"),
    [
        ({"oracle": True}, "oracle: B amplified by the right answer in sna_math_easy"),
        ({}, f"gate: that of B sees the right answer in sna_math_easy, where {DESCRIPTIVE}"),
    ],
)
def test_what_sees_the_answer_is_the_amplified_halfs(
    amplified_run: Path, edited: Any, said: dict[str, bool], caution: str
) -> None:
    def seeing(content: dict[str, Any]) -> None:
        content["config"]["sna"]["tasks"]["sna_math_easy"] |= {"sees_answer": True, **said}

    baseline, amplified = split(read_run(edited(amplified_run, seeing)))
    assert not baseline.tasks["sna_math_easy"].sees_answer
    assert not baseline.tasks["sna_math_easy"].oracle
    comparison = compare(baseline, amplified, OPTIONS)
    assert comparison.cautions == (caution,)
    marked = [row.task for row in comparison.rows if row.sees_answer]
    assert marked == ["sna_math_easy", "sna_math_easy", "own_group"]
    assert [row.task for row in comparison.rows if row.oracle] == (marked if said else [])


def test_files_from_before_oracles_were_marked(amplified_run: Path, edited: Any) -> None:
    """The plan's direction says it."""

    def older(content: dict[str, Any]) -> None:
        for task in content["config"]["sna"]["tasks"].values():
            del task["oracle"]
        gold = content["config"]["sna"]["tasks"]["sna_math_easy"]
        gold["interventions"][0] |= {"direction": "gold", "allow_oracle": True}

    run = read_run(edited(amplified_run, older))
    found = {name for name, task in run.tasks.items() if task.oracle and not task.subtasks}
    assert found == {"sna_math_easy"}


def test_what_has_no_halves(plain_run: Path, evaluate: Any, amplified_run: Path) -> None:
    with pytest.raises(InputError, match="an `sna` run of tasks with baseline metrics"):
        split(read_run(plain_run))
    bare = evaluate("sna", {"layer": 2, "neurons": "1", "multiplier": 2.0, "gate": "always"},
                    tasks=["sna_math_easy"], limit=3, samples=False)  # fmt: skip
    with pytest.raises(InputError, match="samples beside the result file"):
        split(read_run(bare))
