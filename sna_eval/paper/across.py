"""Sections 4.1 to 4.5: baseline against improvement, zones, the three factors."""

from __future__ import annotations

from collections.abc import Iterator

from sna_eval.paper.evidence import ProtocolEvidence
from sna_eval.paper.rules import (
    Claim,
    ceiling,
    figure,
    judged,
    of_model,
    only_for,
    unjudged,
    within,
)
from sna_eval.study.summary import held_out_slope

CORRELATIONS = {"spearman": -0.762, "pearson": -0.503}
SHARES = {"baseline": 0.58, "localization": 0.28, "task type": 0.14}
ZONE_1 = {"sna_math_easy", "sna_math_medium", "sna_math_hard", "sna_poetry_medium"} | {
    "sna_poetry_hard"
}

N_TASKS = 12
"""Of the paper."""


def correlations(found: ProtocolEvidence) -> Iterator[Claim]:
    """Both coefficients and the interval of the first, which are not judged, and the slope."""
    across = found.summary.across
    for kind, published in CORRELATIONS.items():
        fit = next((a.result for a in across if (a.kind, a.outcome) == (kind, "best")), None)
        statement = f"{kind} correlation of baseline and improvement"
        if fit is None:
            yield Claim(statement, f"{published:+.3f}", "too few tasks", "not tested")
            continue
        value, ends = fit.improvement.coefficient, fit.improvement.interval
        measured = (
            f"{value:+.3f} ({ends.low:+.3f} to {ends.high:+.3f}), negative by construction; "
            f"absolute change {fit.absolute.coefficient:+.3f}"
        )
        yield unjudged(Claim(statement, f"{published:+.3f}", measured, "not tested"))
        if kind == "spearman":
            measured = f"{ends.low:+.3f} to {ends.high:+.3f}, by construction"
            statement = "its bootstrap interval stays negative"
            yield unjudged(Claim(statement, "-0.918 to -0.351", measured, "not tested"))
    yield from _slopes(found)


def _slopes(found: ProtocolEvidence) -> Iterator[Claim]:
    """What the correlations stand for: held-out change in log-odds falls with the baseline."""
    fit = held_out_slope(found.measured) if found.measured is not None else None
    statement = "held-out change in log-odds falls with the baseline"
    if fit is None:
        claim = Claim(statement, "negative", "too few tasks", "not tested")
    else:
        claim = Claim(
            statement,
            "negative",
            f"{fit.slope:+.3f} ({fit.interval.low:+.3f} to {fit.interval.high:+.3f}) per unit",
            judged([fit.slope, fit.interval.high], lambda cells: max(cells) < 0),
        )
    yield claim
    small = Claim("it holds on GPT-2 Small too", "negative", claim.measured, claim.verdict)
    yield only_for(small, found.is_model("gpt2"))


def zones(found: ProtocolEvidence) -> Iterator[Claim]:
    """What the tasks of each zone gain, and which tasks those are."""
    first, second, third = found.summary.zones
    mean, largest = first.mean_improvement, first.largest_improvement
    for statement, value, published, shown in (
        ("mean improvement in zone 1", mean, 27.85, f"{mean:.2f} %"),
        ("largest improvement in zone 1", largest, 70.3, f"{largest:.1f} %"),
    ):
        measured = shown if first.tasks else "no task"
        yield Claim(statement, f"{published} %", measured, figure(value, published))
    best = [task.best_improvement for task in found.summary.tasks if task.zone == 3]
    yield Claim(
        "improvement in zone 3 stays below 8 %",
        "8 % (in the abstract 7 %, rarely exceeded)",
        f"up to {max(best):.1f} %" if best else "no task",
        ceiling(best, 8.0),
    )
    sizes = [len(zone.tasks) for zone in (first, second, third)]
    complete = sum(sizes) == N_TASKS
    middle = Claim("tasks in zone 2", "0", str(sizes[1]), ceiling([sizes[1]], 0))
    yield only_for(
        of_model(middle), complete or sizes[1] > 0
    )  # of tasks that were not run, none is known
    counts = ", ".join(map(str, sizes)) + ("" if complete else f" ({sum(sizes)} tasks run)")
    members = Claim(
        "zone 1 is arithmetic and the two harder poetry levels",
        "5, 0 and 7 tasks in zones 1, 2, 3",
        counts,
        judged([len(first.tasks)], lambda sizes: set(first.tasks) == ZONE_1),
    )
    yield only_for(of_model(members), found.is_model("gpt2-medium") and complete)
    yield from _baselines(found)
    yield _transition(found)


def _baselines(found: ProtocolEvidence) -> Iterator[Claim]:
    for name, low, high in (("math", 0.003, 0.026), ("coding", 0.32, 0.51)):
        baselines = [task.baseline for task in found.tasks(f"sna_{name}")]
        shown = ", ".join(f"{value:.4f}" for value in baselines) or "not run"
        claim = Claim(
            f"baselines of {name}", f"{low} to {high}", shown, within(baselines, low, high)
        )
        yield only_for(of_model(claim), found.is_model("gpt2-medium"))


def _transition(found: ProtocolEvidence) -> Claim:
    """Unstable: neither nearly all nor nearly none of the configurations help."""
    statement = "zone 2 responds unstably (items built for it)"
    transition = found.transition
    if transition is None:
        return Claim(statement, "expected, not measured", "not run", "not tested")
    helped = float((transition.change > 0).mean())
    percent = transition.improvement
    return Claim(
        statement,
        "expected, not measured",
        f"baseline {transition.baseline:.3f}; {helped:.0%} of configurations help, mean "
        f"{percent.mean():+.2f} %, {percent.min():+.1f} to {percent.max():+.1f} %",
        within([helped], 0.1, 0.9),
    )


def shares(found: ProtocolEvidence) -> Iterator[Claim]:
    """The three factors' shares of the ranks' variance, which random rankings have as well: nothing
    is judged by them."""
    factors = found.summary.factors
    known = {share.factor: share for share in factors.shares} if factors else {}
    for name, published in SHARES.items():
        share = known.get(name)
        statement = f"share of rank variance: {name}"
        if share is None:
            yield Claim(statement, f"{published:.0%}", "too few tasks", "not tested")
            continue
        measured = (
            f"{share.share:.0%} ({share.interval.low:.0%} to {share.interval.high:.0%}), "
            f"by chance {share.by_chance:.0%}"
        )
        yield unjudged(Claim(statement, f"{published:.0%}", measured, "not judged"))
