"""Whole evaluations: both answers on every bundled task, held against lm_eval's own model class."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.harness.values import evidence_of
from tests.real.conftest import Load, evaluate, log_likelihoods

NEURONS = (3, 99, 512, 700, 1023, 1500)
LAYER, MULTIPLIER = 12, 3.0
PLAN = {"layer": LAYER, "neurons": ";".join(map(str, NEURONS)), "multiplier": MULTIPLIER}
LIMIT = 4
TOLERANCE = 1e-4
"""Between two ways to sum a row in float32: `hf` of two batch sizes differs by as much."""


@pytest.fixture(scope="module")
def plain(real: Path, load: Load, sst2: None) -> dict[str, Any]:
    """What `--model hf` says of every bundled task."""
    return evaluate(load(real), ["sna_all"], limit=LIMIT)


@pytest.fixture(scope="module")
def folded(real: Path, load: Load, sst2: None) -> dict[str, Any]:
    """What `--model hf` says once the neurons' weights are multiplied."""
    model = load(real).model
    weight = model.model.layers[LAYER].mlp.down_proj.weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight[:, list(NEURONS)] *= MULTIPLIER
    try:
        return evaluate(load(real), ["sna_all"], limit=LIMIT)
    finally:
        with torch.no_grad():
            weight.copy_(before)


def test_every_bundled_task_runs_and_reports_both_answers(
    real: Path, load: Load, plain: dict[str, Any], folded: dict[str, Any]
) -> None:
    got = evaluate(load(real, **PLAN, gate="always"), ["sna_all"], limit=LIMIT)
    assert len(got["samples"]) == 14
    for task, samples in got["samples"].items():
        baselines = [
            evidence_of(answer[0][0]).baseline  # type: ignore[union-attr]
            for sample in sorted(samples, key=lambda sample: sample["doc_id"])
            for answer in sample["resps"]
        ]
        assert baselines == pytest.approx(log_likelihoods(plain, task), abs=TOLERANCE)
        amplified = log_likelihoods(got, task)
        assert amplified == pytest.approx(log_likelihoods(folded, task), abs=TOLERANCE)
        assert max(map(abs, map(float.__sub__, amplified, baselines))) > 100 * TOLERANCE
        assert all(map(math.isfinite, amplified))
    metrics = got["results"]["sna_math_easy"]
    assert metrics["baseline_prob,none"] != metrics["prob,none"]


def test_a_closed_gate_is_hf_to_the_last_bit(real: Path, load: Load, plain: dict[str, Any]) -> None:
    got = evaluate(load(real, **PLAN, gate="never", strict=True), ["sna_all"], limit=LIMIT)
    for task in plain["samples"]:
        assert log_likelihoods(got, task) == log_likelihoods(plain, task), task


def test_the_gate_amplifies_zone_one_alone(real: Path, load: Load, sst2: None) -> None:
    lm = load(real, **PLAN, gate="margin", low=0.3, high=0.6)
    samples = evaluate(lm, ["sna_sst2"], limit=40)["samples"]["sna_sst2"]
    zones = set()
    for sample in samples:
        evidence = [evidence_of(answer[0][0]) for answer in sample["resps"]]
        scores = [float(answer[0][0]) for answer in sample["resps"]]
        first, second = (math.exp(one.baseline) for one in evidence if one is not None)
        margin = abs(first - second) / (first + second)
        zone = 1 if margin < 0.3 else 2 if margin <= 0.6 else 3
        zones.add(zone)
        assert {one.zone for one in evidence if one is not None} == {zone}
        unchanged = scores == [one.baseline for one in evidence if one is not None]
        assert unchanged == (zone != 1)
    assert {1, 3} <= zones
