"""Comparisons of items that share their answers, on all scales, and of gates held open."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats
from scipy.special import log_softmax, logsumexp

from sna_eval.cli import main
from sna_eval.errors import InputError
from sna_eval.study.compare import Options, compare, read_run, split
from sna_eval.study.compare.effects import paired_effect
from sna_eval.study.compare.pairing import Pairs
from sna_eval.study.statistics import design_effect, equivalence
from tests.study.compare.conftest import SNA
from tests.study.compare.test_effects import MEAN, row, samples

FAST = Options(draws=500)


def pairs_of(before: Any, after: Any, clusters: Any) -> Pairs:
    first, second = (np.asarray(side, dtype=float)[:, None] for side in (before, after))
    return Pairs(first, second, np.zeros(len(first), dtype=int), MEAN, np.asarray(clusters))


def test_right_and_wrong_by_answers_is_not_mcnemar() -> None:
    """Twelve items of four answers; two answers turn right: two of sixteen exchanges, both ways."""
    codes = np.repeat(np.arange(4), 3)
    before = np.zeros(12)
    after = (codes < 2).astype(float)
    found = paired_effect(pairs_of(before, after, codes), FAST)
    assert (found.test, found.clusters, found.n) == ("clusters", 4, 12)
    assert found.p == 2 / 4
    assert found.design_effect == pytest.approx(design_effect(after - before, codes))
    alone = paired_effect(pairs_of(before, after, np.arange(12)), FAST)
    assert (alone.test, alone.p) == ("McNemar", pytest.approx(2 * 0.5**6))
    assert found.detectable > alone.detectable


def test_a_smallest_effect_of_interest_is_excluded() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(80)
    after, codes = before + 0.01 * rng.normal(size=80), np.arange(80) // 2
    options = Options(draws=200, smallest=0.05)
    found = paired_effect(pairs_of(before, after, codes), options)
    assert found.p_equivalence == pytest.approx(
        equivalence(after - before, smallest=0.05, clusters=codes).p
    )
    assert found.p_equivalence < 0.001
    assert math.isnan(paired_effect(pairs_of(before, after, codes), FAST).p_equivalence)
    with pytest.raises(InputError, match="smallest: expected a number above 0"):
        Options(smallest=0.0)


def test_null_runs_with_shared_answers_keep_their_level() -> None:
    codes, found = np.repeat(np.arange(24), 4), 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        towards = rng.random(24) < 0.5
        before = rng.random(96) < 0.5
        after = np.where(rng.random(96) < 0.5, towards[codes], before)
        found += paired_effect(pairs_of(before, after, codes), Options(draws=400)).p <= 0.05
    assert found <= stats.binom.ppf(0.999, 120, 0.05)


def test_scales_of_real_runs(plain_run: Path, amplified_run: Path) -> None:
    """Among four choices, from the log-likelihoods that the samples hold."""
    comparison = compare(read_run(plain_run), read_run(amplified_run), FAST)
    panels = {panel.task: panel for panel in comparison.panels}
    scales = {scale.scale: scale for scale in panels["own_choices"].scales}
    nll, brier, odds = [], [], []
    for run in (plain_run, amplified_run):
        lines = samples(run, "own_choices")
        table = np.array([[float(v) for v, _ in s["filtered_resps"]] for s in lines])
        gold = np.array([int(s["target"]) for s in lines])
        log_probs = log_softmax(table, axis=1)
        right = log_probs[np.arange(len(log_probs)), gold]
        nll.append(-right.mean())
        one_hot = np.eye(4)[gold]
        brier.append(((np.exp(log_probs) - one_hot) ** 2).sum(axis=1).mean())
        rivals = np.where(one_hot == 1, -np.inf, log_probs)
        odds.append((right - logsumexp(rivals, axis=1)).mean())
    for name, expected in (("nll", nll), ("brier", brier), ("log_odds", odds)):
        assert [scales[name].before, scales[name].after] == pytest.approx(expected), name
    accuracy = row(comparison, "own_choices", "acc").effect
    assert scales["accuracy"].difference == pytest.approx(accuracy.difference)
    assert {"prob", "margin", "rank", "calibration error"} <= set(scales)
    alone = {scale.scale: scale for scale in panels["sna_math_easy"].scales}
    assert set(alone) == {"prob", "log_odds", "nll"}
    prob = row(comparison, "sna_math_easy", "prob").effect
    assert alone["prob"].difference == pytest.approx(prob.difference, abs=1e-6)


def test_scales_of_one_run_against_its_own_baseline(plain_run: Path, amplified_run: Path) -> None:
    halves = compare(*split(read_run(amplified_run)), FAST)
    runs = compare(read_run(plain_run), read_run(amplified_run), FAST)
    for one, other in zip(halves.panels, runs.panels, strict=True):
        assert one.task == other.task
        for scale, same in zip(one.scales, other.scales, strict=True):
            assert scale.before == pytest.approx(same.before, rel=1e-4)
            assert scale.after == pytest.approx(same.after, rel=1e-4)


def test_harm_is_told_of_gates_that_were_held_open_alone(
    evaluate: Any, plain_run: Path, tmp_path: Path, edited: Any
) -> None:
    """Of a gated run there is none by construction, and none is shown.

    A tiny model is sure of little: low boundaries give zone 3 items that were right, and neurons
    pushed the other way turn some of them wrong.
    """

    def gated(content: dict[str, Any]) -> None:
        for task in content["config"]["sna"]["tasks"].values():
            task["gate"]["mode"] = "confidence"

    gate = {"signal": "margin", "low": 0.1, "high": 0.15, "mode": "always"}
    change = {"layer": SNA["layer"], "multiplier": -SNA["multiplier"],
              "neurons": list(range(0, 128, 2))}  # fmt: skip
    plan = {"version": 1, "tasks": {"own_choices": {"gate": gate, "interventions": [change]}}}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    sna_run = evaluate("sna", {"plan": str(tmp_path / "plan.yaml")}, tasks=["own_choices"])
    options = Options(tasks=("own_choices",), draws=200)
    held_open = row(compare(read_run(plain_run), read_run(sna_run), options), "own_choices", "acc")
    closed = read_run(edited(sna_run, gated))
    right = {s["doc_id"]: s["acc"] for s in samples(plain_run, "own_choices")}
    sure = {s["doc_id"]: s for s in samples(sna_run, "own_choices") if s["zone"] == 3}
    harmed = sum(right[number] == 1 and s["acc"] == 0 for number, s in sure.items())
    assert held_open.harm is not None
    assert held_open.harm.items == sum(right[number] == 1 for number in sure) > 1
    assert held_open.harm.harmed == harmed > 0
    for runs in ((read_run(plain_run), closed), (closed, read_run(plain_run))):
        assert row(compare(*runs, options), "own_choices", "acc").harm is None


def test_a_field_of_the_documents_says_what_goes_together(
    plain_run: Path, amplified_run: Path, edited: Any
) -> None:
    def named(content: dict[str, Any]) -> None:
        content["configs"]["own_choices"]["metadata"]["cluster"] = "label"

    options = Options(tasks=("own_choices",), draws=200)
    plain = read_run(plain_run)
    found = row(compare(plain, read_run(edited(amplified_run, named)), options), "own_choices",
                "acc").effect  # fmt: skip
    assert (found.test, found.clusters) == ("clusters", 4)
    assert (
        row(compare(plain, read_run(amplified_run), options), "own_choices", "acc").effect.test
        == "McNemar"
    )


def test_as_typed(plain_run: Path, amplified_run: Path, capsys: Any) -> None:
    typed = ["compare", str(plain_run), str(amplified_run), "--draws", "200", "--tasks",
             "sna_math_easy,own_choices", "--smallest", "0.5"]  # fmt: skip
    assert main(typed) == 0
    shown = capsys.readouterr().out
    for words in ("p, not within 0.5", "clusters", "calibration error", "log-odds",
                  "fewer than 20 clusters of items that share their answer"):  # fmt: skip
        assert words in shown
    assert main([*typed, "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    (line,) = (r for r in found["rows"] if (r["task"], r["metric"]) == ("sna_math_easy", "prob"))
    assert line["clusters"] < line["n"]
    assert line["design_effect"] is not None
    assert found["scales"]["own_choices"]["brier"]["p"] <= 1
