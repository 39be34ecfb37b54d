"""The rules by which published figures are called reproduced, by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sna_eval.paper.claims import as_markdown, claims
from sna_eval.paper.evidence import Labelled, ProtocolEvidence
from sna_eval.paper.interfering import interference
from sna_eval.paper.rules import (
    Claim,
    beside_placebos,
    ceiling,
    figure,
    judged,
    of_model,
    only_for,
    within,
)
from sna_eval.study.interference import AppliedPlan, CrossEffect, Interference
from sna_eval.study.statistics import Interval
from sna_eval.study.summary import (
    Decomposition,
    Share,
    TaskSummary,
    accuracy_changes,
    across_tasks,
    read_measurements,
    summarise,
)
from sna_eval.study.sweep import CONFIGURATIONS, NEURONS, SweepStore

_EMPTY = ("not run", "no task", "no item", "too few")


@pytest.fixture(scope="module")
def evidence(store: SweepStore) -> ProtocolEvidence:
    """A model of three layers, none of the paper's tasks, no interference, no SST-2."""
    return ProtocolEvidence("tiny", 3, summarise(store, draws=50))


def verdicts(found: ProtocolEvidence) -> dict[str, Claim]:
    return {claim.statement: claim for claim in claims(found)}


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (27.85, "reproduced"),
        (14.0, "reproduced"),
        (13.9, "not reproduced"),
        (-27.85, "not reproduced"),
        (float("nan"), "not tested"),
    ],
)
def test_a_figure_needs_its_sign_and_half_its_size(value: float, verdict: str) -> None:
    assert figure(value, 27.85) == verdict


def test_ceilings_and_ranges_hold_for_all() -> None:
    assert ceiling([1.0, 7.9], 8) == "reproduced"
    assert ceiling([1.0, 8.1], 8) == "not reproduced"
    assert ceiling([], 8) == "not tested"
    assert within([0.3, 0.5], 0.3, 0.5) == "reproduced"
    assert within([0.29, 0.4], 0.3, 0.5) == "not reproduced"
    assert within([], 0.3, 0.5) == "not tested"


@pytest.mark.parametrize("cell", [None, float("nan")])
def test_an_empty_cell_is_never_judged(cell: float | None) -> None:
    """Whatever the others hold: a rule over zones or layers needs all of them."""

    def fails(floats: Sequence[float]) -> bool:
        raise AssertionError(floats)

    assert judged([0.3, cell, 0.5], fails) == "not tested"
    assert ceiling([1.0, cell], 8) == within([0.4, cell], 0.3, 0.5) == "not tested"
    assert figure(cell, 27.85) == "not tested"


def test_another_model_is_not_tested_but_shown(evidence: ProtocolEvidence) -> None:
    claim = Claim("a", "1", "1", "reproduced")
    assert only_for(claim, True) is claim
    assert only_for(claim, False) == Claim("a", "1", "1", "not tested")
    assert replace(evidence, model="openai-community/gpt2-medium").is_model("gpt2-medium")
    assert not replace(evidence, model="gpt2-medium").is_model("gpt2")


def test_what_was_not_run_is_not_tested(evidence: ProtocolEvidence) -> None:
    """Also where the model is one of the paper's."""
    words = ("layer", "SST-2", "amplifying", "share", "arithmetic", "baselines", "unstably")
    for model in ("tiny", "gpt2-medium", "gpt2", "EleutherAI/pythia-160m"):
        found = verdicts(replace(evidence, model=model))
        for statement, one in found.items():
            assert "nan" not in one.measured, statement
            if any(word in statement for word in words):
                assert one.verdict in ("not tested", "not judged"), statement
        empty = [one for one in found.values() if one.measured.startswith(_EMPTY)]
        assert {claim.verdict for claim in empty} <= {"not tested", "not judged"}
        assert len(empty) >= 15
    assert verdicts(evidence)["tasks in zone 2"].published == "0"
    assert verdicts(evidence)["SST-2 zero-shot accuracy"].published == "64 %"


def test_shares_of_variance_are_not_judged(evidence: ProtocolEvidence) -> None:
    """Random rankings have them as well."""
    shares = (
        Share("baseline", 0.5, Interval(0.3, 0.7), 0.09),
        Share("localization", 0.2, Interval(0.1, 0.4), 0.25),
        Share("task type", 0.5, Interval(0.3, 0.7), 0.27),
    )
    summary = replace(evidence.summary, factors=Decomposition(shares, 0.0, 12, 5))
    found = verdicts(replace(evidence, summary=summary))
    for name in ("baseline", "localization", "task type"):
        assert found[f"share of rank variance: {name}"].verdict == "not judged"
    assert found["share of rank variance: baseline"].measured.startswith("50% (30% to 70%)")


def test_a_figure_that_a_placebo_has_is_not_reproduced() -> None:
    """Random rankings print a correlation of -0.73 as well: before, both were confirmed."""
    real = [
        Claim("correlation", "-0.762", "-0.80", "reproduced"),
        Claim("gain", "70 %", "50 %", "reproduced"),
        Claim("loss", "-8", "+1", "not reproduced"),
        Claim("peak", "8", "8", "reproduced"),
        of_model(Claim("accuracy", "64 %", "62 %", "reproduced")),
    ]
    placebos = [
        [
            replace(real[0], measured=correlation, verdict=verdict),
            replace(real[1], measured="2 %", verdict="not reproduced"),
            replace(real[2], measured="+2"),
            replace(real[3], measured="no task", verdict="not tested"),
            real[4],
        ]
        for correlation, verdict in (("-0.20", "not reproduced"), ("-0.73", "reproduced"))
    ]  # type: list[list[Claim]]
    found = beside_placebos(real, placebos)
    assert [claim.verdict for claim in found] == [
        "no more than a placebo", "reproduced", "not reproduced", "not tested", "reproduced",
    ]  # fmt: skip
    assert [claim.placebo for claim in found] == [
        "-0.20; -0.73", "2 %; 2 %", "+2; +2", "no task; no task", "the same model",
    ]  # fmt: skip
    alone = beside_placebos(real, [])
    assert [claim.verdict for claim in alone] == [
        "not tested", "not tested", "not reproduced", "not tested", "reproduced",
    ]  # fmt: skip


def _measured(slope: float, *, split: str = "test") -> Interference:
    """Twelve tasks, each with its own effect on test items."""
    rng = np.random.default_rng(0)
    kinds = ("math", "poetry", "coding", "logic")
    names = [f"sna_{kind}_{level}" for kind in kinds for level in ("easy", "medium", "hard")]
    effects = []
    for name in names:
        odds = float(rng.normal(-2, 1.5))
        after = odds + slope * odds + 0.2 * float(rng.normal())
        effects.append(
            CrossEffect(name, name, 9, 0.1, 0.2, 0.0, 0.2, 0.5, log_odds_before=odds,
                        log_odds_after=after)
        )  # fmt: skip
    sources = tuple(AppliedPlan(name, "", ()) for name in names)
    return Interference("tiny", "", split, None, "", sources, tuple(effects), (), {})


def test_correlations_are_not_judged_and_the_slope_is(evidence: ProtocolEvidence) -> None:
    """Whatever their figures: a negative correlation with percentages is so by construction."""
    across = across_tasks(_summaries(evidence), draws=50)
    changed = replace(evidence, summary=replace(evidence.summary, across=across))
    found = verdicts(changed)
    for kind in ("spearman", "pearson"):
        claim = found[f"{kind} correlation of baseline and improvement"]
        assert claim.verdict == "not judged"
        assert "by construction" in claim.measured
    statement = "held-out change in log-odds falls with the baseline"
    assert found[statement].verdict == "not tested"
    for slope, verdict in ((-0.6, "reproduced"), (0.0, "not reproduced")):
        measured = replace(changed, measured=_measured(slope))
        assert verdicts(measured)[statement].verdict == verdict
        small = verdicts(replace(measured, model="gpt2"))
        assert small["it holds on GPT-2 Small too"].verdict == verdict
        assert verdicts(measured)["it holds on GPT-2 Small too"].verdict == "not tested"
    chosen_on = replace(changed, measured=_measured(-0.6, split="development"))
    assert verdicts(chosen_on)[statement].verdict == "not tested"


def _summaries(evidence: ProtocolEvidence) -> list[TaskSummary]:
    task = evidence.summary.tasks[0]
    return [
        replace(task, task=f"t{n}", baseline=0.1 * (n + 1), best_change=0.05 / (n + 1),
                mean_change=0.01 * (n % 3))
        for n in range(6)
    ]  # fmt: skip


def test_pythia_s_arithmetic(evidence: ProtocolEvidence) -> None:
    """Two tasks in zone 1 at 200 and 100 %: more than half of 178.98 on average."""
    task = evidence.summary.tasks[0]
    tasks = tuple(
        replace(task, task=f"sna_math_{level}", zone=1, baseline=baseline, best_layer=0,
                mean_improvement=mean)
        for level, baseline, mean in (("easy", 0.0032, 200.0), ("hard", 0.0002, 100.0))
    )  # fmt: skip
    changed = replace(evidence, summary=replace(evidence.summary, tasks=tasks))
    for model, verdict in (("EleutherAI/pythia-160m", "reproduced"), ("gpt2", "not tested")):
        found = verdicts(replace(changed, model=model))
        assert found["Pythia-160M, arithmetic in zone 1: mean improvement"].measured == "+150.00 %"
        for statement, claim in found.items():
            if statement.startswith("Pythia"):
                assert claim.verdict == verdict, statement


@pytest.mark.parametrize(
    ("helped", "verdict"), [(0.5, "reproduced"), (1.0, "not reproduced"), (0.0, "not reproduced")]
)
def test_zone_2_is_unstable_where_only_some_configurations_help(
    evidence: ProtocolEvidence, store: SweepStore, helped: float, verdict: str
) -> None:
    measured = read_measurements(store)[0]
    signs = np.where(np.arange(measured.change.size) < helped * measured.change.size, 1e-3, -1e-3)
    transition = replace(measured, change=signs.reshape(measured.change.shape))
    found = verdicts(replace(evidence, transition=transition))
    claim = found["zone 2 responds unstably (items built for it)"]
    assert claim.verdict == verdict
    assert f"{helped:.0%} of configurations help" in claim.measured


def row(layer: int, multiplier: float, zone_1: float, **others: Any) -> dict[str, Any]:
    """A configuration of SST-2: 25 % before in zone 1, 75 % in zone 3, which stays."""
    zones = ((66, 0.25, zone_1), (89, 0.70, 0.70), (45, 0.75, 0.75))
    by_zone = {
        f"{name}{zone}": value
        for zone, one in enumerate(zones, 1)
        for name, value in zip(("n_zone", "baseline_acc_zone", "acc_zone"), one, strict=True)
    }
    return {
        **dict.fromkeys(CONFIGURATIONS.names),
        **by_zone,
        "layer": layer,
        "multiplier": multiplier,
        "n_neurons": 10,
        "oracle": False,
        "baseline_acc": 0.62,
        "found": json.dumps({"one_vs_neutral_overlap": 0.4 + layer / 10}),
        **others,
    }


def labelled(rows: list[dict[str, Any]]) -> Labelled:
    """Their table, and two labels' neurons that share one."""
    neurons = [
        {"task": "sna_sst2", "layer": 0, "label": label, "rank": rank, "neuron": n, "score": 1.0}
        for label, one in (("negative", (1, 2)), ("positive", (3, 2)))
        for rank, n in enumerate(one, 1)
    ]
    return Labelled(
        pa.Table.from_pylist(rows, schema=CONFIGURATIONS),
        pa.Table.from_pylist(neurons, schema=NEURONS),
    )


def test_classification_is_judged_on_every_configuration_but_the_oracle_s(
    evidence: ProtocolEvidence,
) -> None:
    rows = [row(0, 2.0, 0.25), row(0, 12.0, 0.625), row(1, 2.0, 0.125), row(1, 12.0, 0.25)]
    sst2 = labelled([*rows, row(1, 12.0, 1.0, oracle=True)])
    assert accuracy_changes(sst2.configurations, 1) == (0.0, 37.5, -12.5, 0.0)
    found = verdicts(replace(evidence, sst2=sst2))
    gain = found["SST-2, zone 1: gain of accuracy up to"]
    assert gain.measured == "+37.5 points; +75.0 for who knows the answer"
    assert gain.verdict == "reproduced"
    still = found["SST-2, zone 3: change of accuracy, by any configuration"]
    assert (still.measured, still.verdict) == ("up to 0.0 points, 4 configurations", "reproduced")
    layers = found["SST-2, zone 1: layers that improve it on average"]
    assert (layers.measured, layers.verdict) == ("0", "reproduced")
    assert found["SST-2, zone 1: multiplier of the largest gain"].verdict == "reproduced"
    curve = found["SST-2, zone 1: flat at low multipliers, then steep"]
    assert (curve.measured, curve.verdict) == ("+0.0 points at x2, +37.5 at best", "reproduced")
    shared = found["neurons shared, positive against negative"]
    assert (shared.measured, shared.verdict) == ("1", "not judged")
    apart = found["neurons of both sentiments shared, each against neutral text"]
    assert (apart.measured, apart.verdict) == ("45%, 40% to 50% by layer", "reproduced")
    assert found["SST-2: accuracy rises with the zone"].verdict == "not judged"


def test_both_values_are_quoted_where_the_paper_gives_two(evidence: ProtocolEvidence) -> None:
    found = verdicts(evidence)
    gain = found["SST-2, zone 1: gain of accuracy up to"].published
    assert gain == "59.1 points (57.3 in the abstract)"
    assert "7 %" in found["improvement in zone 3 stays below 8 %"].published


def test_an_empty_zone_leaves_its_claims_untested(evidence: ProtocolEvidence) -> None:
    """Eight sentences, none of them uncertain."""
    empty = {"n_zone1": 0, "baseline_acc_zone1": None, "acc_zone1": None}
    found = verdicts(
        replace(evidence, model="gpt2-medium", sst2=labelled([row(0, 2.0, 0.25, **empty)]))
    )
    rising = found["SST-2: accuracy rises with the zone"]
    assert (rising.measured, rising.verdict) == (
        "-, 70.0%, 75.0% (no item in zone 1)", "not judged",
    )  # fmt: skip
    for statement, one in found.items():
        if statement.startswith("SST-2, zone 1") or "before, zones" in statement:
            assert "no item" in one.measured, statement
            assert one.verdict == "not tested", statement
    assert found["SST-2: sentences in zones 1, 2, 3"].verdict == "not reproduced"  # 0 is a count


def test_nothing_changes_only_where_no_pair_does() -> None:
    """Signed effects that cancel out were called no change."""
    effects = [
        CrossEffect(f"sna_poetry_{a}", f"sna_math_{b}", 5, 1.0, 1.0 + change, -1.0, 1.0, 0.5)
        for a, b, change in (("easy", "easy", 0.3), ("hard", "easy", -0.3))
    ]
    measured = Interference("m", "p", "test", None, "t", (), tuple(effects), (), {})
    _, alone = interference(SimpleNamespace(measured=measured))  # type: ignore[arg-type]
    assert alone.measured == "+0.00 % of P(target), -30.00 to +30.00 by pair"
    assert alone.verdict == "not reproduced"
    small = [replace(effect, after=1.0 + (effect.after - 1) / 100) for effect in effects]
    _, alone = interference(
        SimpleNamespace(measured=replace(measured, effects=tuple(small)))  # type: ignore[arg-type]
    )
    assert alone.verdict == "reproduced"


def test_a_plateau_has_its_last_multiplier_among_the_best(evidence: ProtocolEvidence) -> None:
    rows = [row(0, 2.0, 0.25), row(0, 8.0, 0.625), row(0, 12.0, 0.625)]
    found = verdicts(replace(evidence, sst2=labelled(rows)))
    best = found["SST-2, zone 1: multiplier of the largest gain"]
    assert (best.measured, best.verdict) == ("8, 12", "reproduced")


def test_the_members_of_zone_1_need_all_tasks(evidence: ProtocolEvidence) -> None:
    found = verdicts(replace(evidence, model="gpt2-medium"))
    members = found["zone 1 is arithmetic and the two harder poetry levels"]
    assert members.verdict == "not tested"
    assert members.measured.endswith(f"({len(evidence.summary.tasks)} tasks run)")


def test_the_baseline_of_sst_2_is_gpt_2_medium_s(evidence: ProtocolEvidence) -> None:
    sst2 = labelled([row(0, 2.0, 0.25)])
    for model, verdict in (("gpt2-medium", "reproduced"), ("gpt2", "not tested")):
        found = verdicts(replace(evidence, model=model, sst2=sst2))
        accuracy = found["SST-2 zero-shot accuracy"]
        assert (accuracy.measured, accuracy.verdict) == ("62.0%", verdict)
        assert found["SST-2: sentences in zones 1, 2, 3"].verdict == verdict
    before = verdicts(replace(evidence, model="gpt2-medium", sst2=sst2))[
        "SST-2: accuracy before, zones 1, 2, 3"
    ]
    assert before.verdict == "not reproduced"  # 25 % is not 34.8


def test_without_a_gain_no_multiplier_is_the_best(evidence: ProtocolEvidence) -> None:
    found = verdicts(replace(evidence, sst2=labelled([row(0, 2.0, 0.25), row(0, 12.0, 0.1)])))
    best = found["SST-2, zone 1: multiplier of the largest gain"]
    assert (best.measured, best.verdict) == ("no gain", "not tested")
    assert found["SST-2, zone 1: layers that improve it on average"].verdict == "not reproduced"


def test_as_a_table(evidence: ProtocolEvidence) -> None:
    found = claims(evidence)
    lines = as_markdown(found).splitlines()
    assert lines[0] == "| statement | published | measured | placebo | verdict |"
    assert len(lines) == len(found) + 2
    assert len({one.statement for one in found}) == len(found)
    assert all(line.count("|") == 6 for line in lines)
