"""What was found in result files and samples, each with the file that brought it to light."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval.utils import handle_non_serializable, hash_string

from sna_eval.errors import InputError
from sna_eval.study.compare import MetricName, Options, compare, read_run
from sna_eval.study.results.records import Items
from sna_eval.study.results.zone_table import zone_rows
from sna_eval.study.summary import gated_gains
from tests.hostile.loaders import laid_out
from tests.hostile.loaders.base import TASK
from tests.hostile.loaders.runs import RESULTS, RUN, sample


def test_samples(tmp_path: Path) -> None:
    for content in (b'{"doc": "\xe8"}', b"[" * 100_000, b"[1]", b"null", b'{"doc": 1}'):
        laid_out("samples", tmp_path, content)
        record = read_run(tmp_path / RUN).tasks[TASK]
        assert record.items is not None
        with pytest.raises(InputError, match=r"jsonl:1: expected a sample"):
            record.items()


def with_value(path: str, value: Any) -> str:
    """The result file with one value replaced."""
    content = json.loads(json.dumps(RESULTS))
    place: Any = content
    *parents, last = path.split("/")
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    place[last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"group_subtasks/{TASK}", True),
        (f"group_subtasks/{TASK}", [[]]),
        (f"group_subtasks/{TASK}", [TASK]),  # a group within itself
        (f"n-shot/{TASK}", {"a": 1}),
        (f"versions/{TASK}", 10**400),
        (f"config/sna/tasks/{TASK}", "x"),
    ],
)
def test_results(path: str, value: Any, tmp_path: Path) -> None:
    file = laid_out("results", tmp_path, with_value(path, value))
    with pytest.raises(InputError, match="expected a result file as lm_eval writes it"):
        read_run(file)


@pytest.mark.parametrize("value", [True, "x", 5, [1], [None], {"a": 1}])
def test_metrics_that_are_described_by_something_else(value: Any, tmp_path: Path) -> None:
    """How a metric is computed is not known then; what it was still is."""
    file = laid_out("results", tmp_path, with_value(f"configs/{TASK}/metric_list", value))
    record = read_run(file).tasks[TASK]
    assert record.definitions == {}
    assert record.scores[MetricName("prob")].value == 0.3


@pytest.mark.parametrize("value", ["N/A", None, float("nan"), 10**400, [3]])
def test_counts_that_are_no_numbers(value: Any, tmp_path: Path) -> None:
    path = f"n-samples/{TASK}/effective"
    record = read_run(laid_out("results", tmp_path, with_value(path, value))).tasks[TASK]
    assert record.facts["documents"] is None


def test_values_that_are_no_measurements_are_left_out(tmp_path: Path) -> None:
    file = laid_out("results", tmp_path, with_value(f"results/{TASK}/acc,none", 10**400))
    assert [name.metric for name in read_run(file).tasks[TASK].scores] == ["prob", "baseline_prob"]


@pytest.mark.parametrize("error", [5e-324, 1e-160, 1e308])
def test_standard_errors_that_cannot_be(error: float, tmp_path: Path) -> None:
    old = {"results": {"arc_challenge": {"acc": 0.3, "acc_stderr": error}}}
    run = read_run(laid_out("results", tmp_path, json.dumps(old)))
    assert run.tasks["arc_challenge"].facts["documents"] is None


def test_a_task_whose_name_no_file_can_have(tmp_path: Path) -> None:
    name = "sna_math" + "-" * 300
    text = json.dumps(RESULTS).replace(TASK, name)
    run = read_run(laid_out("results", tmp_path, text))
    assert run.tasks[name].items is None


@pytest.mark.parametrize("name", ["~nobody-known/out", "x" * 5000, "a\0b", ""])
def test_names_that_are_no_paths(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a result file or a folder|results_"):
        read_run(name or tmp_path / "none")


def items_of(folder: Path, **changes: Any) -> Items:
    """The items of samples that were changed."""
    lines = [json.dumps(sample(number) | changes) for number in range(3)]
    laid_out("samples", folder, "\n".join(lines))
    record = read_run(folder / RUN).tasks[TASK]
    assert record.items is not None
    return record.items()["none"]


@pytest.mark.parametrize("value", [10**400, "0.5", [1, 2, 3], {"a": 1}, [[1]], -(10**400)])
def test_scores_that_are_no_numbers(value: Any, tmp_path: Path) -> None:
    """The items then cannot be compared; the reported values still can."""
    items = items_of(tmp_path, prob=value)
    assert items.values["prob"] == ("no number",) * 3
    assert items.values["acc"] == (0.0, 1.0, 0.0)
    run = read_run(tmp_path / RUN)
    rows = compare(run, run, Options(draws=100, force=True)).rows
    assert {row.metric.metric: row.effect.test for row in rows}["prob"] == "unpaired z"


@pytest.mark.parametrize("zone", [[1], [1, 2], "1", None, 10**400, float("nan")])
def test_zones_that_are_none(zone: Any, tmp_path: Path) -> None:
    items_of(tmp_path, zone=zone)
    run = read_run(tmp_path / RUN)
    rows = compare(run, run, Options(draws=100, force=True)).rows
    assert {len(row.zones) for row in rows} == {0}


def test_metrics_that_no_sample_has(tmp_path: Path) -> None:
    """Each name is a column for every sample: a small file, and any memory."""
    lines = [json.dumps(sample(0) | {"metrics": [f"m{n}" for n in range(30_000)]})]
    lines += [json.dumps(sample(0))] * 1000
    laid_out("samples", tmp_path, "\n".join(lines))
    record = read_run(tmp_path / RUN).tasks[TASK]
    assert record.items is not None
    with pytest.raises(InputError, match="expected at most 20,000,000 scores in a file"):
        record.items()


def test_the_hash_of_a_deep_document_is_lm_evals(tmp_path: Path) -> None:
    document = json.loads("[" * 200 + '1,"\u00e9",2.50' + "]" * 200)
    lines = json.dumps({**sample(0), "doc": document, "doc_hash": None})
    laid_out("samples", tmp_path, lines)
    record = read_run(tmp_path / RUN).tasks[TASK]
    assert record.items is not None
    text = json.dumps(document, indent=2, default=handle_non_serializable, ensure_ascii=False)
    assert record.items()["none"].keys == ((hash_string(text), 0),)


# What a plan gained behind its gate

GATED = f"config/sna/tasks/{TASK}"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{GATED}/interventions", None),
        (f"{GATED}/interventions", 5),
        (f"{GATED}/interventions/0/found/chosen/gain", "much"),
        (f"{GATED}/interventions/0/found/chosen/gain", 10**400),
        (f"{GATED}/interventions/0/found/chosen/n_items", 1.5),
        (f"{GATED}/interventions/0/found/chosen/among", None),
        (f"{GATED}/amplified_fraction", "x"),
        (f"{GATED}/sees_answer", "no"),
    ],
)
def test_gated_gains(path: str, value: Any, tmp_path: Path) -> None:
    file = laid_out("gated results", tmp_path, with_value(path, value))
    with pytest.raises(InputError, match=f"expected what {TASK} was chosen by|result file as lm_"):
        gated_gains(file, draws=20)


@pytest.mark.parametrize("value", ["x", [], {"chosen": []}, {"chosen": {"split": "test"}}, None])
def test_gated_gains_of_plans_that_nothing_is_known_of(value: Any, tmp_path: Path) -> None:
    path = f"{GATED}/interventions/0/found"
    file = laid_out("gated results", tmp_path, with_value(path, value))
    with pytest.raises(InputError, match="results: expected a run of a plan chosen by `prob`"):
        gated_gains(file, draws=20)


def test_gated_gains_are_those_of_the_samples(tmp_path: Path) -> None:
    """The mean of 0.2, 0.3 and 0.4 less 0.2."""
    (found,) = gated_gains(laid_out("gated results", tmp_path, json.dumps(RESULTS)), draws=20)
    assert found.test == pytest.approx(0.1)
    assert (found.development, found.n_development, found.among) == (0.1, 4, 9)
    assert (found.amplified, found.sees_answer, found.n_test) == (0.5, True, 3)


# The app and the table of zones


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "jsonl:1: expected a sample in JSON"),
        (b"\xff", "jsonl:1: expected a sample in JSON"),
        (b"[1]", "jsonl:1: expected a sample in JSON"),
        (b"[" * 100_000, "jsonl:1: expected a sample in JSON"),
        (json.dumps(sample(0) | {"prob": "x"}).encode(), "expected scores and a zone"),
        (json.dumps(sample(0) | {"prob": None}).encode(), "expected sample files of an `sna` run"),
        (json.dumps(sample(0) | {"zone": float("nan")}).encode(), "expected scores and a zone"),
        (json.dumps(sample(0) | {"zone": 10**400}).encode(), "expected scores and a zone"),
        (json.dumps(sample(0) | {"zone": 4}).encode(), "expected scores and a zone"),
        (json.dumps({**sample(0), "zone": [1]}).encode(), "expected scores and a zone"),
    ],
)
def test_tables_of_zones(line: bytes, message: str, tmp_path: Path) -> None:
    laid_out("app samples", tmp_path, line)
    with pytest.raises(InputError, match=message):
        zone_rows(tmp_path)
