"""Each hypothesis against hand-worked or independent values, and its order."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import beta, binom, ttest_1samp

from sna_eval.study.verdict.hypotheses import (
    HYPOTHESES,
    Finding,
    HarmData,
    in_order,
    judge,
    no_harm,
    over_random,
    over_rival,
    over_tasks,
    zone_effect,
)
from sna_eval.study.verdict.power import simulated_power
from sna_eval.study.verdict.registration import Limits

LIMITS = Limits()


def test_a_claim_among_random_rankings() -> None:
    claim = np.array([1.0, 2.0, 3.0, 2.0])
    nulls = np.array([[0.0, 0, 0, 0], [1, 1, 1, 1], [3, 3, 3, 3]])
    found = over_random(claim, nulls, clusters=[0, 1, 2, 3], limits=LIMITS)
    assert found.p == (1 + 1) / (3 + 1)  # 3 is as large as 2
    assert found.estimate == pytest.approx(2.0 - 4 / 3)
    assert found.low < found.estimate < found.high
    assert not found.excluded


def test_all_tasks_at_once() -> None:
    claims = np.array([1.0, 3.0])
    nulls = np.array([[0.0, 4.0, 1.0], [1.0, 2.0, 0.0]])  # means 0.5, 3, 0.5
    found = over_tasks(claims, nulls)
    assert (found.p, found.draws) == ((1 + 1) / (3 + 1), 3)
    assert found.estimate == pytest.approx(2.0 - 4 / 3)


def test_all_tasks_at_once_errs_as_often_as_it_says_and_finds_what_each_task_hides() -> None:
    generator = np.random.default_rng(0)
    spread = np.array([[0.1], [1.0], [3.0], [0.5], [0.3], [0.2]])  # tasks are not alike

    def found_in(added: float, repetitions: int = 1000) -> float:
        shown = 0
        for _ in range(repetitions):
            gains = generator.standard_t(3, size=(6, 40)) * spread
            shown += over_tasks(gains[:, 0] + added * spread[:, 0], gains[:, 1:]).p <= 0.05
        return shown / repetitions

    low, high = binom.interval(0.999, 1000, 0.05)
    assert low <= 1000 * found_in(0.0) <= high
    assert found_in(3.0) > 0.8


def test_items_of_one_answer_count_as_one() -> None:
    generator = np.random.default_rng(0)
    by_answer = generator.normal(size=10)
    claim, nulls = np.repeat(by_answer, 20), np.zeros((5, 200))
    together = over_random(claim, nulls, clusters=np.repeat(range(10), 20), limits=LIMITS)
    apart = over_random(claim, nulls, clusters=range(200), limits=LIMITS)
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_zone_effects_are_differences_of_differences() -> None:
    zones = [1, 1, 2, 3, 3]
    claim = np.array([3.0, 1.0, 9.0, 1.0, 0.0])  # 2 less 0.5
    nulls = np.array([[1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])  # 1, 0: mean 0.5
    found = zone_effect(claim, nulls, zones, clusters=range(5), limits=LIMITS)
    assert found.estimate == pytest.approx(1.5 - 0.5)
    assert found.p == 1 / 3
    without = zone_effect(claim, nulls, [1, 1, 2, 2, 2], clusters=range(5), limits=LIMITS)
    assert math.isnan(without.estimate)


def test_a_rival_is_beaten_by_exchanges_of_clusters() -> None:
    gain = np.array([0.5, 0.4, 0.1, -0.1, 0.3, 0.3])
    clusters = [0, 0, 1, 2, 3, 4]
    found = over_rival(gain, np.zeros(6), clusters=clusters, limits=LIMITS)
    sums = [0.9, 0.1, -0.1, 0.3, 0.3]
    signed = [abs(np.dot(signs, sums)) for signs in product((-1, 1), repeat=5)]
    expected = np.mean(np.array(signed) >= sum(sums) - 1e-9) / 2
    assert found.p == pytest.approx(expected)
    opposite = over_rival(-gain, np.zeros(6), clusters=clusters, limits=LIMITS)
    assert opposite.p == pytest.approx(1 - expected)


def test_no_harm_is_shown_by_the_worst_of_three() -> None:
    losses = np.random.default_rng(1).normal(0.0, 0.001, size=150)
    repeated = np.zeros(24)
    found = no_harm(HarmData(0, 400, losses, repeated), limits=LIMITS)
    text = ttest_1samp(losses, math.log(1.01), alternative="less").pvalue
    assert found.p == pytest.approx(max(binom.cdf(0, 400, 0.01), text))
    assert found.high == pytest.approx(beta.ppf(0.95, 1, 400))
    few = no_harm(HarmData(0, 100, losses, repeated), limits=LIMITS)
    assert few.p == pytest.approx(0.99**100)  # a hundred items cannot rule one point out
    wordy = no_harm(HarmData(0, 400, losses, np.full(24, 0.3)), limits=LIMITS)
    assert wordy.p == 1.0
    harmed = no_harm(HarmData(40, 100, losses, repeated), limits=LIMITS)
    assert harmed.excluded


def _tested(p: float, *, excluded: bool = False) -> Finding:
    return Finding(0.5, 0.1, 0.9, p, 99, excluded)


def test_order_carries_the_largest_p_on() -> None:
    tested = dict(zip(HYPOTHESES, map(_tested, (0.01, 0.2, 0.001, math.nan, 0.01)), strict=True))
    assert list(in_order(tested).values()) == [0.01, 0.2, 0.2, 1.0, 1.0]


def test_words() -> None:
    first = {name: _tested(0.01) for name in HYPOTHESES}
    second = {**first, "H1": _tested(0.04), "H2": _tested(0.9, excluded=True)}
    found = judge({"a": first, "b": second}, alpha=0.05, correct=False)
    assert {judged.verdict for judged in found["a"].values()} == {"shown"}
    assert [judged.verdict for judged in found["b"].values()] == [
        "shown", "excluded", "undecided at this n", "undecided at this n", "undecided at this n",
    ]  # fmt: skip
    three = judge({"a": first, "b": second, "c": second}, alpha=0.05, correct=True)
    assert three["a"]["H1"].verdict == "shown"  # 0.03 after Holm
    assert three["b"]["H1"].verdict == "undecided at this n"  # 0.08


def test_power_against_its_own_test() -> None:
    gains = np.random.default_rng(2).normal(0.0, 0.2, size=19)
    power = simulated_power(gains, draws=99, level=0.05, smallest=0.1)
    spread = float(np.std(gains, ddof=1))
    assert power.spread == pytest.approx(spread, rel=1e-3)
    generator = np.random.default_rng(3)
    shown = 0
    for _ in range(2_000):
        claim = power.detectable + generator.normal(0.0, spread)
        as_large = np.sum(generator.normal(0.0, spread, size=99) >= claim)
        shown += (1 + as_large) / 100 <= 0.05
    assert shown / 2_000 == pytest.approx(0.8, abs=0.04)
    assert power.detectable is not None
    assert power.at_smallest < 0.8


def test_too_few_draws_have_no_power() -> None:
    power = simulated_power(np.arange(5.0), draws=10, level=0.05, smallest=0.1)
    assert (power.at_smallest, power.detectable) == (0.0, None)
