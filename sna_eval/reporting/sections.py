"""What the report says, section by section."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sna_eval.gating import DESCRIPTIVE
from sna_eval.reporting import tables
from sna_eval.reporting.figures import (
    baseline,
    controls,
    grids,
    held_out,
    interference,
    layers,
    response,
)
from sna_eval.reporting.figures.marks import Drawing
from sna_eval.reporting.page import Picture, Section
from sna_eval.reporting.provenance import made_table, sweep_commands
from sna_eval.study.interference import Interference, RandomNull
from sna_eval.study.summary import GatedGain, HeldOut, ResponseCurve, Summary
from sna_eval.study.sweep.screening.agreement import CONFIDENCE, HELD, held_text
from sna_eval.typed import Json

Show = Callable[[str, str, Drawing], Picture]
"""Keeps a figure, with its name and its caption, and hands it to the page."""


def sweep_sections(summary: Summary, show: Show) -> Iterator[Section]:
    """What is read from the sweep alone."""
    yield Section(
        "Baseline against improvement",
        (
            "Improvement in percent has the baseline in its denominator, so it falls with the "
            "baseline even where the change does not depend on it. The correlation is therefore "
            "given for the absolute change too, and against a null in which the changes are dealt "
            "out to the tasks at random and divided by the baselines they land on.",
            show(
                "baseline",
                "Left: each task's best configuration; grey, where 95 % would lie under the null. "
                "Right: bootstrap intervals over tasks; grey bars, the null of the percentages.",
                baseline.draw(summary.tasks, summary.across),
            ),
            *([tables.across_table(summary.across)] if summary.across else [_FEW_TASKS]),
        ),
    )
    yield Section(
        "Tasks",
        (
            "The best configuration is the largest of the whole grid on the items it is reported "
            "on: an upper end, not an estimate. Golden zone: improvement above 10 %.",
            tables.task_table(summary.tasks),
            tables.zone_table(summary.zones),
        ),
    )
    yield Section(
        "Layers",
        (show("layers", "Colours are relative to each task.", layers.draw(summary.layers)),),
    )
    yield Section(
        "Counts and multipliers",
        (
            show(
                "grids",
                "Improvement in % at each task's best layer by mean; framed: the golden zone. "
                "Colours are relative to each task.",
                grids.draw(summary.measurements, summary.tasks),
            ),
        ),
    )
    yield _factors(summary)


def screen_section(summary: Summary) -> Section:
    """How well a screened sweep's predictions held."""
    said = "; ".join(f"{task}: {held_text(found)}" for task, found in summary.agreements.items())
    return Section(
        "Predicted and measured",
        (
            "One backward pass predicted every configuration. Those that chance chose were "
            "measured whatever was predicted of them: means, success rates and the layer map rest "
            "on them. Below: Spearman's correlation of predicted with measured mean effects per "
            "step, neighbouring multipliers taken together, with its interval "
            f"({CONFIDENCE:.0%}), and the share whose sign is right. Predictions are said to hold "
            f"where the interval lies above {HELD:g}, and not to hold where it lies below. {said}.",
            tables.agreement_table(summary.agreements),
        ),
    )


def response_section(sweeps: Sequence[Sequence[ResponseCurve]], show: Show) -> Section:
    """Response curves of the tasks with choices, sweep by sweep."""
    figures: dict[str, Sequence[ResponseCurve]] = {}
    for curves in sweeps:
        for task in dict.fromkeys(curve.task for curve in curves):
            again = sum(name.partition(" ")[0] == task for name in figures)
            name = f"{task} {again + 1}" if again else task  # two sweeps may have it
            figures[name] = [curve for curve in curves if curve.task == task]
    parts = tuple(
        show(
            f"response-{name.replace(' ', '-')}",
            "Accuracy among the items of each zone, at the layer and count with the best accuracy "
            "of all; zones are the unmodified model's.",
            response.draw(figure),
        )
        for name, figure in figures.items()
    )
    return Section("Response curves", parts)


def interference_sections(measured: Interference, show: Show) -> Iterator[Section]:
    """What amplifying one task does to the others."""
    several = len(measured.sources) > 1
    yield Section(
        "Interference",
        (
            "Every intervention, ungated, on every task's items and on plain text. Asymmetry is "
            "what A does to B minus what B does to A. Values of p are of one effect each, not "
            "corrected for how many there are.",
            show("interference", "Red is a loss.", interference.draw(measured)),
            tables.text_table(measured),
            *(
                [tables.together_table(measured), tables.asymmetry_table(measured)]
                if several
                else []
            ),
        ),
    )
    if measured.controls:
        spread = [control for control in measured.controls if controls.differ(control)]
        yield Section(
            "Random neurons",
            (
                random_neurons_text(measured.controls),
                *(
                    [show("random", "Each stroke is one draw.", controls.draw(spread))]
                    if spread
                    else []
                ),
                tables.control_table(measured.controls),
            ),
        )


def random_neurons_text(controls: Sequence[RandomNull]) -> str:
    """How random neurons were drawn, and what p means."""
    p = (
        "p is the share of draws that do as well or better, the plan's own counted in, so n draws "
        "cannot give less than 1 / (n + 1)."
    )
    if not all(control.searched for control in controls):
        return (
            "As many neurons of the plan's own layer, with its multiplier. The plan was searched "
            "and these draws were not, and they push less: p is too small. Measure again. " + p
        )
    return (
        "Each draw ranks neurons at random, searches the whole grid on development items and is "
        "scaled until it moves the next token as far as the plan does. The specific gain is the "
        "change of an answer's log-odds on its own prompt less its mean change on other prompts. "
        + p
    )


def held_out_section(
    rows: tuple[HeldOut, ...], gated: tuple[GatedGain, ...], show: Show
) -> Section:
    """Development against test."""
    parts: list[str | tables.Table | Picture] = []
    if gated:
        parts += [
            "The plan as lm_eval evaluated it on test items, behind its gate, beside what it "
            "gained on the items it was chosen on. What is lost is the winner's curse. "
            "Changes of mean P(target) or of accuracy; items whose gate stayed closed count as no "
            "change.",
            *([_descriptive(gated)] if any(row.sees_answer for row in gated) else []),
            tables.gated_table(gated),
        ]
    if rows:
        parts += [
            "The same configurations ungated, every item amplified, in percent of each split's own "
            "baseline.",
            show("held-out", "Percent of each split's own baseline.", held_out.draw(rows)),
            tables.held_out_table(rows),
        ]
    return Section("Development against test", tuple(parts))


def _descriptive(gated: Sequence[GatedGain]) -> str:
    """Whose gains are no evidence."""
    named = ", ".join(row.task for row in gated if row.sees_answer)
    return f"Of {named}, {DESCRIPTIVE}."


def made_section(manifests: Sequence[Json], measured: Interference | None, command: str) -> Section:
    """How it was made.

    **Arguments:**

    - `manifests`: of the sweeps, the report's own first.
    """
    commands = dict.fromkeys(line for manifest in manifests for line in sweep_commands(manifest))
    return Section(
        "How this was made",
        (
            *(
                made_table(manifest, measured if manifest is manifests[0] else None)
                for manifest in manifests
            ),
            "The same configurations are measured by",
            *(f"    {line}" for line in commands),
            "and this page was written by",
            f"    {command}",
        ),
        words=True,
    )


_FEW_TASKS = "Correlations need three tasks or more, with baselines and changes that vary."


def _factors(summary: Summary) -> Section:
    if summary.factors is None:
        text = (
            "Too few tasks for three factors, a baseline of 0, or a grid of which a part was "
            "measured: their shares are not known."
        )
        return Section("Three factors", (text,))
    factors = summary.factors
    return Section(
        "Three factors",
        (
            "Shares of the variance of the tasks' ranks by mean improvement: what each factor adds "
            "to R², averaged over all orders in which the factors may enter (Lindeman, Merenda and "
            f"Gold 1980). {factors.n_parameters} parameters are fitted to {factors.n_tasks} tasks, "
            "which bear little: read each share against what random rankings give, in the last "
            "column, and note how wide the intervals are.",
            tables.factor_table(factors),
        ),
    )
