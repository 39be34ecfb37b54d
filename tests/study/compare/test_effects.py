"""Effects of real runs against SciPy on the raw samples, made-up pairs against hand counts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sna_eval.study.compare import Comparison, MetricName, MetricRow, Options, compare, read_run
from sna_eval.study.compare.effects import harm, paired_effect, unpaired_effect, zone_effects
from sna_eval.study.compare.groups import pair_group
from sna_eval.study.compare.pairing import AGGREGATES, Pairs, derived_zones, find_aggregate
from sna_eval.study.results.records import Reported, Run, TaskRecord
from sna_eval.study.statistics.sampling import Floats

FAST = Options(draws=1000)
MEAN = AGGREGATES[0]


def made_up(before: Any, after: Any, zones: Any = None) -> Pairs:
    first = np.asarray(before, dtype=float)[:, None]
    places = np.zeros(len(first), dtype=int) if zones is None else np.asarray(zones)
    return Pairs(first, np.asarray(after, dtype=float)[:, None], places, MEAN)


def samples(run: Path, task: str) -> list[dict[str, Any]]:
    (path,) = run.rglob(f"samples_{task}_2*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def row(comparison: Comparison, task: str, metric: str) -> MetricRow:
    (found,) = (r for r in comparison.rows if (r.task, r.metric.metric) == (task, metric))
    return found


@pytest.fixture(scope="module")
def comparison(plain_run: Path, amplified_run: Path) -> Comparison:
    return compare(read_run(plain_run), read_run(amplified_run), FAST)


def test_right_and_wrong_of_real_runs(
    comparison: Comparison, plain_run: Path, amplified_run: Path
) -> None:
    before = [s["acc"] for s in samples(plain_run, "own_choices")]
    after = [s["acc"] for s in samples(amplified_run, "own_choices")]
    found = row(comparison, "own_choices", "acc").effect
    gained = sum(b < a for b, a in zip(before, after, strict=True))
    lost = sum(b > a for b, a in zip(before, after, strict=True))
    assert gained + lost > 0  # half of a layer's neurons times 60 must change some answers
    assert (found.better, found.worse, found.n) == (gained, lost, 41)
    assert found.p == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)
    assert found.difference == pytest.approx(np.mean(after) - np.mean(before))
    assert found.test == "McNemar"


def test_means_of_real_runs(comparison: Comparison, plain_run: Path, amplified_run: Path) -> None:
    before = np.array([s["prob"] for s in samples(plain_run, "sna_math_easy")])
    after = np.array([s["prob"] for s in samples(amplified_run, "sna_math_easy")])
    found = row(comparison, "sna_math_easy", "prob").effect
    answers = [s["doc"]["cluster"] for s in samples(plain_run, "sna_math_easy")]
    sums = {answer: [0.0, 0.0] for answer in answers}
    for answer, *both in zip(answers, before, after, strict=True):
        sums[answer] = [total + value for total, value in zip(sums[answer], both, strict=True)]
    totals = np.array(list(sums.values())).T
    reference = stats.permutation_test(
        (totals[0], totals[1]),
        lambda a, b, axis: np.mean(b - a, axis=axis),
        permutation_type="samples",
        n_resamples=4000,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    assert found.test == "clusters"
    assert found.clusters == len(sums) < found.n
    assert found.p == pytest.approx(reference.pvalue, abs=0.06)
    assert found.after == pytest.approx(after.mean())


def test_perplexities_of_real_runs(
    comparison: Comparison, plain_run: Path, amplified_run: Path
) -> None:
    """Items are log-likelihoods with their words or bytes; the value is made of their sums."""
    for metric in ("word_perplexity", "bits_per_byte"):
        found = row(comparison, "own_rolling", metric)
        assert found.effect.test == "clusters"  # one text is there twice
        assert found.effect.before == pytest.approx(found.a.value)
        assert found.effect.after == pytest.approx(found.b.value)
        assert found.higher_is_better is False
        pairs = zip(
            (s[metric] for s in samples(plain_run, "own_rolling")),
            (s[metric] for s in samples(amplified_run, "own_rolling")),
            strict=True,
        )
        assert found.effect.better == sum(after[0] > before[0] for before, after in pairs)
        assert found.improvement() == -found.effect.difference


def test_order_of_the_samples_does_not_matter(
    plain_run: Path, amplified_run: Path, edited: Any
) -> None:
    options = Options(tasks=("own_choices",), draws=200)
    turned = edited(amplified_run)
    (path,) = turned.rglob("samples_own_choices_*.jsonl")
    lines = path.read_text().splitlines()
    # the last document repeats the first; repeats are joined in their order
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    straight = compare(read_run(plain_run), read_run(amplified_run), options)
    backwards = compare(read_run(plain_run), read_run(turned), options)
    # as text: from Python 3.13 on, a row that holds a nan is not even equal to itself
    assert repr(backwards.rows) == repr(straight.rows)


def test_identical_runs(plain_run: Path) -> None:
    run = read_run(plain_run)
    comparison = compare(run, run, FAST)
    assert {r.effect.test for r in comparison.rows} == {"McNemar", "clusters"}
    for found in comparison.rows:
        assert found.effect.p == 1
        assert 0 in found.effect.interval
        assert found.p_holm == 1 or found.is_group
        assert (found.effect.better, found.effect.worse) == (0, 0)
    assert comparison.cautions == comparison.differences == ()


def test_identical_old_files(shared_data: Path) -> None:
    run = read_run(shared_data / "leaderboard" / "pythia-70m-step143000-5shot.json")
    for found in compare(run, run).rows:
        assert found.effect.p == 1
        assert 0 in found.effect.interval


def test_null_pairs_are_seldom_called_significant() -> None:
    """200 pairs of runs that do not differ, of each kind."""
    most = stats.binom.ppf(0.999, 200, 0.05)
    options = Options(draws=200)
    for kind in ("flips", "means"):
        significant = 0
        for seed in range(200):
            rng = np.random.default_rng(seed)
            hard = rng.normal(size=80)
            scores = hard + rng.normal(size=(2, 80))
            before, after = (scores > 0) if kind == "flips" else scores
            significant += paired_effect(made_up(before, after), options).p <= options.alpha
        assert significant <= most


def test_corrections_are_over_tasks_of_one_metric(comparison: Comparison) -> None:
    rows = [r for r in comparison.rows if r.metric.metric == "prob" and not r.is_group]
    p_values = np.array([r.effect.p for r in rows])
    assert len(rows) == 3
    order = np.argsort(p_values)
    expected = np.maximum.accumulate(p_values[order] * np.arange(3, 0, -1)).clip(max=1)
    assert np.array([r.p_holm for r in rows])[order] == pytest.approx(expected)
    assert math.isnan(row(comparison, "own_group", "prob").p_holm)


def test_rounding_is_no_effect(plain_run: Path, evaluate: Any) -> None:
    """The same model by another route, in other batches: `sna` with a closed gate, against `hf`."""
    plan = {"layer": 2, "neurons": "1", "multiplier": 2.0, "gate": "never"}
    closed = evaluate("sna", plan, tasks=["sna_logic_easy", "own_rolling"], batch_size=3)
    comparison = compare(read_run(plain_run), read_run(closed), FAST)
    assert len(comparison.rows) == 4
    for found in comparison.rows:
        assert (found.effect.better, found.effect.worse, found.effect.p) == (0, 0, 1)
    before = np.full(40, 0.3)
    leaning = paired_effect(made_up(before, before * (1 + 2e-6)), FAST)
    assert leaning.p == 1
    assert paired_effect(made_up(before, before * (1 + 2e-4)), FAST).p < 0.01


def test_zones_and_harm_by_hand() -> None:
    """Ten items: in zone 1 two turn right, in zone 3 one of four turns wrong."""
    pairs = made_up(
        [0, 0, 0, 1, 1, 0, 1, 1, 1, 0],
        [1, 1, 0, 1, 1, 0, 0, 1, 1, 0],
        [1, 1, 1, 2, 2, 0, 3, 3, 3, 3],
    )
    one, two, three = zone_effects(pairs, FAST)
    assert (one.zone, one.effect.n, one.effect.better, one.effect.worse) == (1, 3, 2, 0)
    assert (two.effect.n, two.effect.difference) == (2, 0)
    assert (three.effect.n, three.effect.worse) == (4, 1)
    found = harm(pairs)
    assert found is not None
    assert (found.items, found.harmed) == (3, 1)  # the fourth was wrong already
    assert found.at_most == pytest.approx(stats.beta.ppf(0.95, 2, 2))
    other = harm(made_up([1, 1, 0, 0], [0, 0, 1, 0], [3] * 4), higher_is_better=False)
    assert other is not None
    assert (other.items, other.harmed) == (2, 1)  # what rises is worse
    assert harm(made_up([0.5, 0.2], [0.1, 0.3], [3, 3])) is None
    assert harm(made_up([1, 0], [0, 0], [1, 2])) is None
    assert harm(made_up([0, 0], [0, 1], [3, 3])) is None


def test_zones_of_a_gated_run_are_its_gates(plain_run: Path, evaluate: Any) -> None:
    """The plain run's own samples say other zones, by the paper's bounds."""
    plan = {"layer": 2, "neurons": "1;5;7", "multiplier": 3.0, "gate": "max_prob"}
    gated = evaluate("sna", {**plan, "low": 0.02, "high": 0.05}, tasks=["sna_math_easy"])
    options = Options(tasks=("sna_math_easy",), draws=200)
    found = row(compare(read_run(plain_run), read_run(gated), options), "sna_math_easy", "prob")
    written = [sample["zone"] for sample in samples(gated, "sna_math_easy")]
    assert {z.zone: z.effect.n for z in found.zones} == {
        zone: written.count(zone) for zone in (1, 2, 3) if written.count(zone)
    }
    closed = [z.effect for z in found.zones if z.zone != 1]
    assert all(effect.difference == pytest.approx(0, abs=1e-9) for effect in closed)


def test_derived_zones_are_margins_of_the_first_run(
    comparison: Comparison, plain_run: Path
) -> None:
    counts = {1: 0, 2: 0, 3: 0}
    for sample in samples(plain_run, "own_choices"):
        top = sorted((math.exp(float(value)) for value, _ in sample["filtered_resps"]))[-2:]
        margin = (top[1] - top[0]) / (top[1] + top[0])
        counts[1 if margin < 0.3 else 3 if margin > 0.6 else 2] += 1
    found = row(comparison, "own_choices", "acc").zones
    assert {z.zone: z.effect.n for z in found} == {z: n for z, n in counts.items() if n}


def test_zones_are_those_of_the_model_as_it_is(
    plain_run: Path, amplified_run: Path, edited: Any
) -> None:
    """Whichever run comes first; an amplified one says itself what that model was unsure of.

    Where both are amplified and neither says it, as in runs of before, nobody does.
    """

    def silent(name: str, sample: dict[str, Any]) -> None:
        sample.pop("zone", None)

    options = Options(tasks=("own_choices",), draws=100)
    plain, amplified = read_run(plain_run), read_run(amplified_run)
    before = read_run(edited(amplified_run, change_sample=silent))
    there, back, both, nobody = (
        row(compare(*runs, options), "own_choices", "acc")
        for runs in (
            (plain, amplified), (amplified, plain), (amplified, amplified), (before, before),
        )
    )  # fmt: skip
    sizes = {zone.zone: zone.effect.n for zone in there.zones}
    assert {zone.zone: zone.effect.n for zone in back.zones} == sizes
    assert len(sizes) > 1
    assert {zone.zone: zone.effect.n for zone in both.zones} == sizes
    assert (nobody.zones, nobody.harm) == ((), None)


def test_generated_texts_are_no_log_likelihoods(plain_run: Path, edited: Any) -> None:
    """An answer of two digits looks like a pair of numbers to whoever takes it apart."""

    def answered(name: str, sample: dict[str, Any]) -> None:
        if "own_choices" in name:
            sample["filtered_resps"] = ["18"]

    run = read_run(edited(plain_run, change_sample=answered))
    found = row(compare(run, run, Options(tasks=("own_choices",))), "own_choices", "acc")
    assert (found.zones, found.harm) == ((), None)


def test_zones_need_log_likelihoods(plain_run: Path) -> None:
    items = read_run(plain_run).tasks["own_rolling"].items
    assert items is not None
    assert set(derived_zones(items()["none"], None)) == {None}


def test_groups_weigh_as_lm_eval_does(comparison: Comparison) -> None:
    found = row(comparison, "own_group", "prob")
    assert found.is_group
    assert found.effect.n == sum(r.effect.n or 0 for r in comparison.rows
                                 if r.metric.metric == "prob" and not r.is_group)  # fmt: skip
    assert found.effect.before == pytest.approx(found.a.value)
    assert found.effect.after == pytest.approx(found.b.value)


@pytest.mark.parametrize("weighing", ["by size", "alike", "neither"])
def test_groups_by_hand(weighing: str, plain_run: Path) -> None:
    """Two tasks of 2 and 4 items with means 1 and 0.25: 0.5 by size, 0.625 if alike."""
    acc = MetricName("acc")
    value = {"by size": 0.5, "alike": 0.625, "neither": 0.9}[weighing]
    scores = {"one": [1.0, 1.0], "two": [1.0, 0.0, 0.0, 0.0]}
    run = read_run(plain_run)
    template = run.tasks["own_choices"].items
    assert template is not None
    tasks = {name: _task(name, score, template()["none"]) for name, score in scores.items()}
    tasks["both"] = TaskRecord("both", {acc: Reported(value)}, subtasks=("one", "two"))
    made = Run(Path("x"), "m", "hf", tasks)
    pairs = pair_group((made, made), "both", acc)
    if weighing == "neither":
        assert pairs is None
        return
    assert pairs is not None
    assert pairs.before.mean() == pytest.approx(value)
    assert pairs.binary == (weighing == "by size")


def _task(name: str, values: list[float], items: Any) -> TaskRecord:
    from dataclasses import replace

    count = len(values)
    changed = replace(
        items,
        keys=items.keys[:count],
        prompts=items.prompts[:count],
        targets=items.targets[:count],
        choices=items.choices[:count],
        values={"acc": tuple(values)},
    )
    return TaskRecord(
        name, {MetricName("acc"): Reported(float(np.mean(values)))}, items=lambda: {"none": changed}
    )


def test_values_that_items_do_not_make() -> None:
    """A reported value that no known way makes of the items: they are not to be used."""
    items: Floats = np.array([[0.1], [0.5], [0.9]])
    assert find_aggregate([(items, 0.5)]) is MEAN
    assert find_aggregate([(items, math.exp(-0.5))]) is AGGREGATES[1]
    assert find_aggregate([(items, 0.77)]) is None
    assert find_aggregate([(items, 0.5), (items, 0.77)]) is None


def test_stale_samples_fall_back_to_standard_errors(plain_run: Path, edited: Any) -> None:
    def other_value(content: dict[str, Any]) -> None:
        content["results"]["own_choices"]["acc,none"] = 0.9

    options = Options(tasks=("own_choices",), metrics=("acc",), draws=200)
    other = read_run(edited(plain_run, other_value))
    assert compare(read_run(plain_run), other, options).rows[0].effect.test == "unpaired z"


def test_missing_standard_errors() -> None:
    """One missing: the other's stands in. Both missing: nothing is tested."""
    both = unpaired_effect(Reported(0.3, 0.03), Reported(0.4, 0.03), FAST)
    assert unpaired_effect(Reported(0.3, None), Reported(0.4, 0.03), FAST) == both
    assert unpaired_effect(Reported(0.3, 0.03), Reported(0.4, None), FAST) == both
    none = unpaired_effect(Reported(0.3), Reported(0.4), FAST)
    assert none.test == "none"
    assert math.isnan(none.p)
    assert none.difference == pytest.approx(0.1)
