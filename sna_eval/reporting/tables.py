"""The report's tables, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sna_eval.reporting.numbers import between, coefficient, p_value, percent, probability, share
from sna_eval.study.interference import ALL, PLAIN_TEXT, Interference, RandomNull
from sna_eval.study.summary import (
    AcrossTasks,
    Decomposition,
    GatedGain,
    HeldOut,
    TaskSummary,
    ZoneMean,
)
from sna_eval.study.sweep import Agreement


@dataclass(frozen=True)
class Table:
    """Headings and rows of text."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def task_table(tasks: Sequence[TaskSummary]) -> Table:
    """The table of everything, a task a row."""
    return Table(
        (
            "task", "items", "zone", "baseline", "best %", "best configuration", "mean %",
            "success rate", "golden zone", "best layer (mean)", "best layer (single)",
        ),
        tuple(
            (
                own.task,
                str(own.n_items),
                str(own.zone),
                probability(own.baseline),
                percent(own.best_improvement),
                own.best.label,
                percent(own.mean_improvement),
                share(own.success_rate),
                f"{own.golden_zone} of {own.counted}",
                f"{own.best_layer} ({percent(own.best_layer_improvement)} %)",
                str(own.best_single_layer),
            )
            for own in tasks
        ),
    )  # fmt: skip


def zone_table(zones: Sequence[ZoneMean]) -> Table:
    """Zone means."""
    return Table(
        ("zone", "tasks", "mean of all %", "mean of best %", "largest %", "success rate"),
        tuple(
            (
                str(own.zone),
                str(len(own.tasks)),
                percent(own.mean_improvement),
                percent(own.best_improvement),
                percent(own.largest_improvement),
                share(own.success_rate),
            )
            for own in zones
        ),
    )


def across_table(across: Sequence[AcrossTasks]) -> Table:
    """Both correlations and the null."""
    return Table(
        (
            "outcome", "kind", "with improvement %", "95 % interval", "p (no correlation)",
            "null mean", "null 95 %", "p (against the null)", "with absolute change",
            "95 % interval", "p",
        ),
        tuple(
            (
                own.outcome,
                own.kind,
                coefficient(own.result.improvement.coefficient),
                between(own.result.improvement.interval),
                p_value(own.result.improvement.p),
                coefficient(own.result.null_mean),
                between(own.result.null_interval),
                p_value(own.result.p),
                coefficient(own.result.absolute.coefficient),
                between(own.result.absolute.interval),
                p_value(own.result.absolute.p),
            )
            for own in across
        ),
    )  # fmt: skip


def agreement_table(agreements: Mapping[str, Sequence[Agreement]]) -> Table:
    """How well predictions held, a task and multiplier a row."""
    return Table(
        ("task", "multiplier", "drawn", "rank correlation", "same sign", "holds"),
        tuple(
            (
                task,
                f"x{own.multiplier:g}",
                str(own.n),
                "unknown" if own.rank_correlation is None else coefficient(own.rank_correlation),
                "unknown" if own.same_sign is None else share(own.same_sign),
                "yes" if own.held else "no",
            )
            for task, found in agreements.items()
            for own in found
        ),
    )


def factor_table(factors: Decomposition) -> Table:
    """Shares of the variance of ranks."""
    rows = [
        (
            own.factor,
            share(own.share),
            f"{share(own.interval.low)} to {share(own.interval.high)}",
            share(own.by_chance),
        )
        for own in factors.shares
    ]
    return Table(
        ("factor", "share of R²", "95 % interval over tasks", "of random rankings"),
        (*rows, ("unexplained", share(factors.unexplained), "", "")),
    )


def held_out_table(rows: Sequence[HeldOut]) -> Table:
    """Development against test."""
    return Table(
        ("task", "development %", "test %", "95 % interval", "lost, points"),
        tuple(
            (
                f"{own.task} (oracle)" if own.oracle else own.task,
                percent(own.development),
                percent(own.test),
                f"{percent(own.low)} to {percent(own.high)}",
                percent(own.curse),
            )
            for own in rows
        ),
    )


def gated_table(rows: Sequence[GatedGain]) -> Table:
    """Development against test behind the gate."""
    return Table(
        (
            "task", "measure", "development", "items", "best of", "test", "95 % interval",
            "items", "amplified", "lost", "sees the answer", "oracle",
        ),
        tuple(
            (
                own.task,
                own.measure,
                f"{own.development:+.4f}",
                str(own.n_development),
                str(own.among),
                f"{own.test:+.4f}",
                f"{own.low:+.4f} to {own.high:+.4f}",
                str(own.n_test),
                share(own.amplified),
                f"{own.curse:+.4f}",
                "yes" if own.sees_answer else "no",
                "yes" if own.oracle else "no",
            )
            for own in rows
        ),
    )  # fmt: skip


def control_table(controls: Sequence[RandomNull]) -> Table:
    """The random-neuron null."""
    return Table(
        ("task", "change", "random mean", "draws", "p", "p (Holm)", "p (Benjamini-Hochberg)"),
        tuple(
            (
                own.task,
                f"{own.change:+.2e}",
                f"{own.random_mean:+.2e}",
                str(len(own.random_changes)),
                p_value(own.p),
                p_value(own.p_holm),
                p_value(own.p_bh),
            )
            for own in controls
        ),
    )


def text_table(found: Interference) -> Table:
    """What interventions do to plain text."""
    effects = [found.effect(name, PLAIN_TEXT) for name in found.interventions]
    return Table(
        ("amplified for", "perplexity before", "after", "change", "95 % interval", "p"),
        tuple(
            (
                found.label(own.intervention),
                f"{own.before:.3f}",
                f"{own.after:.3f}",
                f"{own.change:+.3f}",
                f"{own.low:+.3f} to {own.high:+.3f}",
                p_value(own.p),
            )
            for own in effects
        ),
    )


def asymmetry_table(found: Interference) -> Table:
    """Of every pair, what the one does to the other minus the reverse; largest first."""
    names = [source.task for source in found.sources]
    pairs = [
        (first, second, found.asymmetry(first, second))
        for number, first in enumerate(names)
        for second in names[number + 1 :]
    ]
    pairs.sort(key=lambda pair: -abs(pair[2]))
    return Table(
        ("amplified A", "amplified B", "A on B %", "B on A %", "asymmetry, points"),
        tuple(
            (
                found.label(first),
                found.label(second),
                percent(found.effect(first, second).percent),
                percent(found.effect(second, first).percent),
                percent(value),
            )
            for first, second, value in pairs
        ),
    )


def together_table(found: Interference) -> Table:
    """All interventions at once against each task's own alone."""
    names = [source.task for source in found.sources]
    return Table(
        ("task", "own alone %", "all together %", "difference, points"),
        tuple(
            (
                found.label(name),
                percent(found.effect(name, name).percent),
                percent(found.effect(ALL, name).percent),
                percent(found.effect(ALL, name).percent - found.effect(name, name).percent),
            )
            for name in names
        ),
    )
