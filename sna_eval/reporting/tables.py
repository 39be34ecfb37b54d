"""The report's tables, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
                task.task,
                str(task.n_items),
                str(task.zone),
                probability(task.baseline),
                percent(task.best_improvement),
                task.best.label,
                percent(task.mean_improvement),
                share(task.success_rate),
                f"{task.golden_zone} of {task.counted}",
                f"{task.best_layer} ({percent(task.best_layer_improvement)} %)",
                str(task.best_single_layer),
            )
            for task in tasks
        ),
    )  # fmt: skip


def zone_table(zones: Sequence[ZoneMean]) -> Table:
    """Zone means."""
    return Table(
        ("zone", "tasks", "mean of all %", "mean of best %", "largest %", "success rate"),
        tuple(
            (
                str(zone.zone),
                str(len(zone.tasks)),
                percent(zone.mean_improvement),
                percent(zone.best_improvement),
                percent(zone.largest_improvement),
                share(zone.success_rate),
            )
            for zone in zones
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
                correlation.outcome,
                correlation.kind,
                coefficient(correlation.result.improvement.coefficient),
                between(correlation.result.improvement.interval),
                p_value(correlation.result.improvement.p),
                coefficient(correlation.result.null_mean),
                between(correlation.result.null_interval),
                p_value(correlation.result.p),
                coefficient(correlation.result.absolute.coefficient),
                between(correlation.result.absolute.interval),
                p_value(correlation.result.absolute.p),
            )
            for correlation in across
        ),
    )  # fmt: skip


def agreement_table(agreements: Mapping[str, Sequence[Agreement]]) -> Table:
    """How well predictions held, a task and multiplier a row."""
    return Table(
        (
            "task",
            "multiplier",
            "drawn",
            "same sign",
            "taken together",
            "rank correlation",
            "interval",
            "holds",
        ),
        tuple(
            (
                task,
                f"x{agreement.multiplier:g}",
                str(agreement.n),
                "unknown" if agreement.same_sign is None else share(agreement.same_sign),
                str(agreement.pooled),
                "unknown"
                if agreement.rank_correlation is None
                else coefficient(agreement.rank_correlation),
                "unknown"
                if agreement.interval is None
                else " to ".join(coefficient(end) for end in agreement.interval),
                {True: "yes", False: "no", None: "undecided"}[agreement.held],
            )
            for task, found in agreements.items()
            for agreement in found
        ),
    )


def factor_table(factors: Decomposition) -> Table:
    """Shares of the variance of ranks."""
    rows = [
        (
            part.factor,
            share(part.share),
            f"{share(part.interval.low)} to {share(part.interval.high)}",
            share(part.by_chance),
        )
        for part in factors.shares
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
                f"{row.task} (oracle)" if row.oracle else row.task,
                percent(row.development),
                percent(row.test),
                f"{percent(row.low)} to {percent(row.high)}",
                percent(row.curse),
            )
            for row in rows
        ),
    )


def gated_table(rows: Sequence[GatedGain]) -> Table:
    """Development against test behind the gate."""
    return Table(
        (
            "task", "measure", "development", "items", "best of", "test", "95 % interval",
            "items", "amplified", "lost", "descriptive", "oracle",
        ),
        tuple(
            (
                row.task,
                row.measure,
                f"{row.development:+.4f}",
                str(row.n_development),
                str(row.among),
                f"{row.test:+.4f}",
                f"{row.low:+.4f} to {row.high:+.4f}",
                str(row.n_test),
                share(row.amplified),
                f"{row.curse:+.4f}",
                "yes" if row.sees_answer else "no",
                "yes" if row.oracle else "no",
            )
            for row in rows
        ),
    )  # fmt: skip


def control_table(controls: Sequence[RandomNull]) -> Table:
    """The random-neuron null."""
    return Table(
        (
            "task",
            "change",
            "random mean",
            "specific gain, log-odds",
            "random mean",
            "draws",
            "p",
            "p (Holm)",
            "p (Benjamini-Hochberg)",
        ),
        tuple(
            (
                control.task,
                f"{control.change:+.2e}",
                f"{control.random_mean:+.2e}",
                "" if control.gain is None else f"{control.gain:+.3f}",
                f"{np.mean(control.random_gains):+.3f}" if control.random_gains else "",
                str(len(control.random_changes)),
                p_value(control.p),
                p_value(control.p_holm),
                p_value(control.p_bh),
            )
            for control in controls
        ),
    )


def text_table(found: Interference) -> Table:
    """What interventions do to plain text."""
    effects = [found.effect(name, PLAIN_TEXT) for name in found.interventions]
    return Table(
        ("amplified for", "perplexity before", "after", "change", "95 % interval", "p"),
        tuple(
            (
                found.label(effect.intervention),
                f"{effect.before:.3f}",
                f"{effect.after:.3f}",
                f"{effect.change:+.3f}",
                f"{effect.low:+.3f} to {effect.high:+.3f}",
                p_value(effect.p),
            )
            for effect in effects
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
