"""Wrong numbers and tracebacks that were found in the study, each with what brought it to light."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sna_eval.argument_lists import parse_names
from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.reporting.provenance import sweep_commands
from sna_eval.study.calibration import TaskOutcomes, find_boundaries
from sna_eval.study.compare import Options, compare, read_run
from sna_eval.study.interference import PLAIN_TEXT, AppliedPlan, Interference, Subject
from sna_eval.study.interference.effects import effects
from sna_eval.study.methods.table import MethodTable
from sna_eval.study.statistics import GatedItems
from sna_eval.study.summary.measurements import task_measurements
from sna_eval.study.summary.task_summary import summarise_task, zone_means
from tests.hostile.loaders import laid_out
from tests.hostile.loaders.base import TASK
from tests.hostile.loaders.runs import RESULTS
from tests.hostile.loaders.stores import MANIFEST, tables


def test_a_change_that_is_no_number() -> None:
    """What a dtype too narrow for a model leaves behind; it was an assertion."""
    rows = [{**row, "delta_prob": math.nan} for row in tables()["configurations"].to_pylist()]
    table = tables()["configurations"].from_pylist(rows, schema=tables()["configurations"].schema)
    with pytest.raises(InputError, match=r"expected a value for every config.*dtype is too narrow"):
        task_measurements(TASK, table)


def test_a_baseline_of_zero_leaves_its_zone_a_mean() -> None:
    """Its improvement is NaN, and made NaN of all the zone's."""
    (row,) = tables()["configurations"].to_pylist()
    schema = tables()["configurations"].schema
    summaries = [
        summarise_task(
            task_measurements(
                name,
                tables()["configurations"].from_pylist(
                    [{**row, "task": name, "baseline_prob": base, "delta_prob": 0.02}],
                    schema=schema,
                ),
            )
        )
        for name, base in (("a", 0.1), ("b", 0.2), ("c", 0.0))
    ]
    zone = zone_means(summaries)[0]
    assert zone.tasks == ("a", "b", "c")
    assert zone.mean_improvement == pytest.approx((20 + 10) / 2)
    assert (zone.best_improvement, zone.largest_improvement) == pytest.approx((15, 20))


@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_boundaries_of_small_confidences(scale: float) -> None:
    """Rounded to six decimals, boundaries of long answers were 0, and no gate ever opened."""
    confidence = np.array([0.1, 0.2, 0.4, 0.8]) * scale
    gains = np.array([[1.0, 1.0, -1.0, -1.0]])
    items = GatedItems(np.tile(confidence, 10), np.tile(gains, 10), np.tile(gains, 10),
                       np.arange(40))  # fmt: skip
    outcomes = {name: TaskOutcomes(items, 0) for name in ("a", "b")}
    found = find_boundaries("target_prob", outcomes)
    assert found.low == found.high == pytest.approx(0.3 * scale)
    assert found.kept


def test_the_command_of_a_sweep_names_its_dtype() -> None:
    (command,) = sweep_commands({**MANIFEST, "dtype": "float16"})
    assert "--model_args pretrained=tiny,dtype=float16" in command


def test_runs_without_an_outcome_in_common(tmp_path: Path) -> None:
    """Both keep books on what was done, and measure nothing."""
    content = json.dumps(RESULTS).replace("prob,none", "zone,none")
    content = content.replace('"acc,none"', '"confidence,none"')
    run = read_run(laid_out("results", tmp_path, content))
    with pytest.raises(InputError, match=r"metrics: expected a metric that both .*got 'none'"):
        compare(run, run, Options(draws=100, force=True))


@pytest.mark.parametrize("log_likelihood", [-math.inf, -1e6])
def test_a_text_that_a_model_gives_no_chance(log_likelihood: float, tmp_path: Path) -> None:
    """Its perplexity was infinite: written, and refused when it was read again."""
    subject = Subject(PLAIN_TEXT, (), text_of=np.array([0, 1]), tokens=np.array([2, 2]))
    scores = np.array([[-4.0, -6.0], [log_likelihood, -6.0]])
    (effect,) = effects(subject, ["a"], scores, draws=50)
    assert effect.before == pytest.approx(math.exp(2.5))
    assert effect.after == pytest.approx(math.exp((2 * 700 + 6) / 4))
    assert effect.low <= effect.change <= effect.high
    both = (replace(effect, subject="a"), effect)
    found = Interference("m", "f", "test", None, "t", (AppliedPlan("a", "", ()),), both, (), {})
    read = Interference.load(found.save(tmp_path))
    assert read == found
    assert np.isfinite(read.matrix()).all()


def test_a_table_of_methods_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="output: expected a path that can be written"):
        MethodTable((), {}).save(tmp_path / "file" / "table")


def test_names_with_spaces_between_them() -> None:
    assert parse_names("sna_math_easy, sna_logic_hard") == ("sna_math_easy", "sna_logic_hard")


def test_a_diagnosis_does_not_overwrite_its_own_plan(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["diagnose", "--plan", "sna-reference", "--tasks", "sna_math_easy"]
    assert main([*typed, "--output", "cut.json"]) == 2
    assert "--output: expected a plan file such as cut.yaml" in capsys.readouterr().err
