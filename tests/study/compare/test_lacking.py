"""Runs that lack a part, or spell it otherwise: the rest is compared, and nothing is made up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sna_eval.gating import Gate
from sna_eval.study.compare import MetricName, NotComparable, Options, as_text, compare, read_run
from sna_eval.study.compare.formatting import between, listed, probability
from sna_eval.study.compare.groups import pair_group
from sna_eval.study.compare.pairing import as_numbers, derived_zones, pair
from sna_eval.study.results.formats.before_0_4 import parse
from sna_eval.study.results.records import Items, Reported, Run, TaskRecord
from sna_eval.study.statistics import Interval

ACC = MetricName("acc")
FAST = Options(draws=100)
Edited = Callable[..., Path]


def task(name: str, values: list[Any], reported: float) -> TaskRecord:
    """A task whose items score so, and what its result file says."""
    keys = tuple((f"{name}{n}", 0) for n in range(len(values)))
    texts = tuple("" for _ in values)
    items = Items(keys, texts, texts, {"acc": tuple(values)}, tuple(() for _ in values))
    return TaskRecord(name, {ACC: Reported(reported)}, items=lambda: {"none": items})


def run_of(*tasks: TaskRecord, subtasks: tuple[str, ...] = ("one", "two")) -> Run:
    """A run of some tasks, and the group of `subtasks` with the mean of its four items."""
    group = TaskRecord("both", {ACC: Reported(0.5)}, subtasks=subtasks)
    return Run(Path("x"), "m", "hf", {one.name: one for one in (*tasks, group)})


ONE, TWO = task("one", [1.0, 0.0], 0.5), task("two", [0.0, 1.0], 0.5)


def test_a_group_needs_all_its_tasks_in_both_runs() -> None:
    whole = run_of(ONE, TWO)
    pairs = pair_group((whole, whole), "both", ACC)
    assert pairs is not None
    assert pairs.before.mean() == 0.5
    for lacking in (
        run_of(ONE),  # a task is missing
        run_of(ONE, TWO, subtasks=("one",)),  # the group is another
        run_of(ONE, replace(TWO, scores={MetricName("f1"): Reported(0.5)})),  # another metric
        run_of(ONE, replace(TWO, items=None)),  # no items
        run_of(ONE, task("two", [0.0, 1.0], 0.9)),  # items that do not make the reported value
    ):
        assert pair_group((whole, lacking), "both", ACC) is None
        assert pair_group((lacking, whole), "both", ACC) is None


def test_items_without_a_score_in_either_run_are_left_out() -> None:
    first = run_of(task("one", [1.0, None, 0.0], 0.5))
    second = run_of(task("one", [0.0, 1.0, 1.0], 2 / 3))
    pairs = pair((first, second), "one", ACC)
    assert pairs is not None
    assert (pairs.before[:, 0].tolist(), pairs.after[:, 0].tolist()) == ([1.0, 0.0], [0.0, 1.0])
    apart = run_of(task("one", [None, 1.0, None], 1.0))
    assert pair((first, apart), "one", ACC) is None


def test_scores_that_are_no_numbers() -> None:
    for values in (["a", "b"], [[1.0, 2.0, 3.0]], [1.0, [1.0, 2.0]], [["x", 1.0]], []):
        assert as_numbers(values) is None
    found = as_numbers([1.0, None, 0.0])
    assert found is not None
    np.testing.assert_array_equal(found, [[1.0], [math.nan], [0.0]])


def test_filters_of_one_run_alone_say_nothing(plain_run: Path, edited: Edited) -> None:
    """Samples under a filter that the other run has not: the next filter is looked at."""

    def renamed(name: str, sample: dict[str, Any]) -> None:
        if "own_choices" in name:
            sample["filter"] = "other"

    options = replace(FAST, tasks=("own_choices",), metrics=("acc",))
    other = read_run(edited(plain_run, None, renamed))
    (row,) = compare(read_run(plain_run), other, options).rows
    assert row.effect.test == "unpaired z"  # no items under one filter: standard errors are left


@pytest.mark.parametrize(
    "given", [{"pretrained": "org/model"}, "dtype=float32,pretrained=org/model"]
)
def test_the_model_from_its_arguments(plain_run: Path, edited: Edited, given: Any) -> None:
    def unnamed(content: dict[str, Any]) -> None:
        del content["model_name"]
        content["config"]["model_args"] = given

    assert read_run(edited(plain_run, unnamed)).model == "org/model"


def test_metrics_by_name_alone_have_no_definition(plain_run: Path, edited: Edited) -> None:
    def named(content: dict[str, Any]) -> None:
        content["configs"]["own_choices"]["metric_list"] = ["acc", "acc_norm"]

    run = read_run(edited(plain_run, named))
    assert run.tasks["own_choices"].definitions == {}
    assert compare(read_run(plain_run), run, replace(FAST, tasks=("own_choices",))).rows


def test_generated_texts_with_other_settings_are_refused(plain_run: Path, edited: Edited) -> None:
    def generated(until: str) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            config = content["configs"]["own_choices"]
            config |= {"output_type": "generate_until", "generation_kwargs": {"until": [until]}}

        return change

    first, same, other = (
        read_run(edited(plain_run, generated(until))) for until in ("a", "a", "b")
    )
    options = replace(FAST, tasks=("own_choices",))
    assert compare(first, same, options).rows
    with pytest.raises(NotComparable, match="generation: "):
        compare(first, other, options)


def test_nothing_to_test_is_said(plain_run: Path, edited: Edited) -> None:
    """No samples and no standard errors on either side."""

    def bare(content: dict[str, Any]) -> None:
        entry = content["results"]["own_choices"]
        content["results"] = {"own_choices": {k: v for k, v in entry.items() if "stderr" not in k}}

    runs = []
    for _ in range(2):
        folder = edited(plain_run, bare)
        for path in folder.rglob("samples_*"):
            path.unlink()
        runs.append(read_run(folder))
    comparison = compare(*runs, replace(FAST, metrics=("acc",)))
    assert [row.effect.test for row in comparison.rows] == ["none"]
    assert "none: no items and no standard errors, so nothing could be tested" in as_text(
        [comparison]
    )


def test_what_is_not_known_is_written_so() -> None:
    unknown = probability(math.nan)
    assert between(Interval(math.nan, math.nan)) == unknown
    assert probability(0.00001) == "<0.0001"
    assert listed(["a", "b", "c", "d"]) == "a, b, c, d"
    assert listed(["a", "b", "c", "d", "e"]) == "5 tasks: a, b, c, ..."


def test_a_gates_own_boundaries_count_for_its_signal() -> None:
    """P(target) is 0.5: between 0.4 and 0.6 by the gate, saturated by the paper's."""
    values = (math.log(0.5),)
    items = Items((("a", 0),), ("",), ("",), {}, (values,))
    assert derived_zones(items, Gate("target_prob", 0.4, 0.6)) == [2]
    assert derived_zones(items, Gate("max_prob", 0.4, 0.6)) == [3]
    assert derived_zones(items, None) == [3]


@pytest.mark.parametrize(
    ("value", "stderr", "documents"),
    [
        (0.25, math.sqrt(0.25 * 0.75 / 99), 100),
        (0.25, 1e-200, None),  # a variance below what a float holds
        (0.25, 1e-160, None),  # a count beyond it
        (0.25, 0.0123, None),  # no whole number of documents
        (1.0, 0.1, None),
    ],
)
def test_documents_from_a_standard_error(
    value: float, stderr: float, documents: int | None
) -> None:
    raw = {"results": {"piqa": {"acc": value, "acc_stderr": stderr}}}
    assert parse(raw, Path("x")).tasks["piqa"].facts["documents"] == documents
