"""One `sna` run reports what `--model hf` and a run with `report_baseline=false` do.

lm_eval's own configurations, of every output type, on the bundled model: each task object is asked
four times in one process, by `sna`, by `sna` with `report_baseline=false`, with `gate=never` and by
plain `hf`, so that whatever the first left behind would show in the others.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.files import reference_model_path
from tests.harness.lm_eval_configs import CONFIGS, GROUPS, write_configs

FEW = [
    "mc_arc_all_metrics", "mc_winogrande", "mc_cb", "mc_truthfulqa_mc2", "mc_cola", "mc_blimp",
    "mc_mmlu_anatomy", "mc_mmlu_virology", "mc_agieval_sat_math", "ll_lambada_openai",
    "rolling_wikitext", "gen_gsm8k", "gen_gsm8k_majority", "gen_drop", "gen_wmt16",
]  # fmt: skip
"""Every output type, and each way to filter, judge and aggregate; the rest is slow."""
ACTS = "interventions: [{layer: 2, multiplier: 8.0, neurons: [1, 5, 9, 30, 77, 100, 150, 200]}]"
PLAN = f"""
version: 1
tasks:
  "mc_*": {{gate: {{signal: margin, low: 0.5, high: 0.7}}, {ACTS}}}
  "ll_*": {{gate: {{signal: target_prob, low: 0.01, high: 0.5}}, {ACTS}}}
  "rolling_*": {{gate: {{signal: target_prob, low: 0.05, high: 0.5}}, {ACTS}}}
  "gen_*": {{gate: {{signal: max_prob, low: 0.2, high: 0.7}}, {ACTS}}}
"""
Results = dict[str, Any]


class Runs:
    """The four evaluations of some configurations."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        from lm_eval.tasks import TaskManager

        write_configs(folder, names)
        manager = TaskManager(include_path=[folder], include_defaults=False)
        self.groups = list(GROUPS)
        grouped = {task for group in GROUPS.values() for task in group["task"]}
        self.tasks = manager.load([*(n for n in names if n not in grouped), self.groups[-1]])
        self.names = names
        plan = folder / "plan.yaml"
        plan.write_text(PLAN)
        self.both = self._sna(plan=str(plan))
        self.hf = self._evaluate(self._hf())
        self.off = self._sna(plan=str(plan), report_baseline=False)
        self.never = self._sna(gate="never")

    def _sna(self, **arguments: Any) -> Results:
        from sna_eval.harness.lm import SNALM

        return self._evaluate(SNALM(device="cpu", batch_size=4, **arguments))

    def _hf(self) -> Any:
        from lm_eval.models.huggingface import HFLM

        path = str(reference_model_path())
        return HFLM(path, device="cpu", dtype="float32", batch_size=4)

    def _evaluate(self, lm: Any) -> Results:
        from lm_eval.evaluator import evaluate

        for task in self.tasks["tasks"].values():
            task.set_fewshot_seed(1234)
        random.seed(0)
        torch.manual_seed(1234)
        return evaluate(lm, self.tasks, bootstrap_iters=100)


@pytest.fixture(scope="module", params=["few", pytest.param("all", marks=pytest.mark.slow)])
def runs(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    names = FEW if request.param == "few" else list(CONFIGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISABLE_MULTIPROC", "1")
        yield Runs(tmp_path_factory.mktemp("lm-eval-tasks"), names)


def values(results: Results, name: str) -> dict[str, Any]:
    """A task's or group's metrics and standard errors by `METRIC,FILTER`."""
    return {key: one for key, one in results["results"][name].items() if "," in key}


def close(found: Any, expected: Any) -> bool:
    return found == expected or found == pytest.approx(expected, rel=1e-5, abs=1e-5, nan_ok=True)


def test_every_metric_has_its_baseline(runs: Runs) -> None:
    for name in [*runs.names, *runs.groups]:
        told, plain = values(runs.both, name), values(runs.hf, name)
        assert set(told) == {*plain, *(f"baseline_{key}" for key in plain)}, name
        assert plain, name


@pytest.mark.parametrize("other", ["hf", "never"])
def test_baselines_are_those_of_the_unmodified_model(runs: Runs, other: str) -> None:
    for name in [*runs.names, *runs.groups]:
        told, plain = values(runs.both, name), values(getattr(runs, other), name)
        for key, expected in plain.items():
            if not key.startswith("baseline_"):
                assert close(told[f"baseline_{key}"], expected), (name, key)


def test_what_is_not_a_baseline_is_what_it_was(runs: Runs) -> None:
    for name in [*runs.names, *runs.groups]:
        told, plain = values(runs.both, name), values(runs.off, name)
        assert {key: one for key, one in told.items() if key in plain} == pytest.approx(
            plain, nan_ok=True
        ), name


def test_items_carry_both_answers(runs: Runs) -> None:
    for name in runs.names:
        pairs = zip(runs.both["samples"][name], runs.hf["samples"][name], strict=True)
        for told, plain in pairs:
            assert told["filter"] == plain["filter"]
            for key in ("resps", "filtered_resps"):
                assert _same(told[f"baseline_{key}"], plain[key]), (name, key)
            for metric in plain["metrics"]:
                assert f"baseline_{metric}" in told["metrics"]
                assert _same(told[f"baseline_{metric}"], plain[metric]), (name, metric)
            assert told["zone"] in (1, 2, 3)
            assert told["decision"] == (told["zone"] == 1)
            assert 0 <= told["confidence"] <= 1
            assert told["oracle"] == 0


def test_the_plan_does_something(runs: Runs) -> None:
    """Of each output type some items are amplified, and their answers change."""
    for kind in ("mc_", "ll_", "rolling_", "gen_"):
        samples = [
            one for name in runs.names if name.startswith(kind)
            for one in runs.both["samples"][name]
        ]  # fmt: skip
        assert any(sample["decision"] for sample in samples), kind
        assert any(sample["resps"] != sample["baseline_resps"] for sample in samples), kind
    greedy = [
        one for name in runs.names if "majority" not in name for one in runs.both["samples"][name]
    ]  # fmt: skip
    closed = [sample for sample in greedy if not sample["decision"]]
    assert closed
    assert all(sample["resps"] == sample["baseline_resps"] for sample in closed)


def test_other_runs_know_nothing_of_it(runs: Runs) -> None:
    """The same tasks in a plain run have the metrics, samples and groups that they always had."""
    for results in (runs.hf, runs.off):
        assert not [
            key for result in results["results"].values() for key in result if "baseline" in key
        ]
        for name in runs.names:
            assert not [key for one in results["samples"][name] for key in one if "zone" in key]
    for group in runs.tasks["groups"].values():
        assert [one.metric for one in group.aggregate_metric_list] == ["acc"]


def test_which_way_is_better(runs: Runs) -> None:
    for name in runs.names:
        told, plain = (one["higher_is_better"][name] for one in (runs.both, runs.hf))
        assert told == {**plain, **{f"baseline_{key}": way for key, way in plain.items()}}


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(_same, found, expected))
    if hasattr(expected, "tolist"):
        return _same(found.tolist(), expected.tolist())
    if isinstance(expected, float):
        return bool(found == pytest.approx(expected, rel=1e-5, abs=1e-5, nan_ok=True))
    return bool(found == expected)
