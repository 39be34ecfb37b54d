"""What a report says first: what was asked, what came of it, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sna_eval.reporting.figures import held_out
from sna_eval.reporting.page import Section
from sna_eval.reporting.sections import Show
from sna_eval.study.interference import Interference, RandomNull
from sna_eval.study.summary import GatedGain, Summary

_LEVEL = 0.05


def opening_section(
    summary: Summary,
    gated: Sequence[GatedGain],
    measured: Interference | None,
    remarks: Sequence[str],
    show: Show,
) -> Section:
    """The answer on one screen.

    **Arguments:**

    - `gated`: what the chosen plan gained on test items; none where it was not evaluated.
    - `remarks`: sentences of the caller's, told last.
    """
    figure = [
        show("gated", "Gains behind the gate on test items, with 95 % intervals.",
             held_out.draw_gated(gated))
    ] if gated else []  # fmt: skip
    said = (_asked(summary), *_gained(gated), *_among_nulls(measured), *remarks)
    return Section("In short", (*said, *figure))


def _asked(summary: Summary) -> str:
    tasks = summary.tasks
    zones = [sum(task.zone == zone for task in tasks) for zone in (1, 2, 3)]
    return (
        "Asked: does amplifying chosen neurons raise the probability of right answers? "
        f"{len(tasks)} task{'s' * (len(tasks) != 1)}: {zones[0]}, {zones[1]} and {zones[2]} in "
        "zones 1, 2 and 3 by the unmodified model's mean. The best of up to "
        f"{max(task.configurations for task in tasks):,} configurations each is an upper end, no "
        "estimate."
    )


def _gained(gated: Sequence[GatedGain]) -> Iterator[str]:
    if not gated:
        yield (
            "No plan chosen from this sweep was evaluated on test items (--results), so nothing "
            "here says what amplification gains."
        )
        return
    gains, losses = _count(row.low > 0 for row in gated), _count(row.high < 0 for row in gated)
    yield (
        f"On test items behind the gate, {gains} of {len(gated)} tasks gain and {losses} lose by "
        f"95 % intervals, uncorrected; for {len(gated) - gains - losses} the interval holds 0."
    )
    descriptive = [row.task for row in gated if row.sees_answer]
    if descriptive:
        yield (
            f"The gates of {', '.join(descriptive)} look at the right answer: such gains are a "
            "description, no evidence, since random neurons gain behind them too."
        )


def _among_nulls(measured: Interference | None) -> Iterator[str]:
    controls = measured.controls if measured else ()
    if not controls:
        yield (
            "Without random rankings that were given the same search (sna-eval interference) no "
            "effect here is told from luck."
        )
        return
    stands_out = [control.task for control in controls if _stands_out(control)]
    draws = min(len(control.random_changes) for control in controls)
    yield (
        f"Against random rankings that were given the same search ({draws} or more draws), "
        f"{len(stands_out)} of {len(controls)} tasks stand out after Holm's correction"
        f"{': ' + ', '.join(stands_out) if stands_out else ''}."
        if all(control.searched for control in controls)
        else "The random neurons beside this plan were not searched as it was: they say nothing."
    )


def _stands_out(control: RandomNull) -> bool:
    return control.searched and control.p_holm <= _LEVEL


def _count(conditions: Iterator[bool]) -> int:
    return sum(bool(condition) for condition in conditions)
