"""Names of metrics that a task's YAML may use without more words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from lm_eval.api.registry import get_aggregation, get_metric_aggregation, is_higher_better

import sna_eval.harness.metric_names  # noqa: F401  (names are known from here on)
from sna_eval.files import tasks_path
from sna_eval.harness.instructions import KINDS
from sna_eval.harness.metric_names import AGGREGATIONS, METRICS

ROOT = Path(__file__).resolve().parents[2]


class Loader(yaml.SafeLoader):
    """Reads lm_eval's `!function` as the function's name."""


Loader.add_constructor("!function", lambda loader, node: node.value.rpartition(".")[2])


def bundled() -> list[dict[str, Any]]:
    files = [*tasks_path().glob("*.yaml")]
    configs = [yaml.load(file.read_text(), Loader) for file in files]
    return [entry for config in configs for entry in config.get("metric_list", [])]


@pytest.mark.parametrize("entry", bundled(), ids=lambda entry: entry["metric"])
def test_they_say_what_the_bundled_tasks_say(entry: dict[str, Any]) -> None:
    if entry["metric"] not in METRICS:
        told = {"acc", "zone", "confidence", "decision", "oracle"}
        followed = ["followed", *(f"followed_{kind}" for kind in KINDS), "repetition", "words"]
        assert entry["metric"] in told.union(followed)
        return
    aggregation, better = METRICS[entry["metric"]]
    assert aggregation.removeprefix("sna_") == entry["aggregation"]
    assert better == entry["higher_is_better"]


def test_lm_eval_knows_them() -> None:
    for name, function in AGGREGATIONS.items():
        assert get_aggregation(name) is function
    for name, (aggregation, better) in METRICS.items():
        assert get_metric_aggregation(name) is get_aggregation(aggregation)
        assert is_higher_better(name) is better


def test_entry_points_name_them_all() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for group, names in (("metrics", METRICS), ("aggregations", AGGREGATIONS)):
        (block,) = re.findall(rf'entry-points."lm_eval.{group}"\]\n((?:\w+ = .*\n)+)', text)
        assert set(re.findall(r"^(\w+) =", block, re.MULTILINE)) == set(names)


def test_a_task_names_a_metric_and_no_more(evaluate: Any, make_sna: Any) -> None:
    lm = make_sna(layer=1, neurons="3;4", multiplier=2.0, gate="always")
    entry = evaluate(lm, ["own_metrics"])["results"]["own_metrics"]
    bundled_one = evaluate(lm, ["sna_math_easy"])["results"]["sna_math_easy"]
    for name in ("improvement_pct,none", "delta_prob,none"):
        assert entry[name] == bundled_one[name] != 0.0
