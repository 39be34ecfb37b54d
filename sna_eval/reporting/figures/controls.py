"""Each task's own neurons among random ones."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from sna_eval.reporting.style import MUTED, ZONE_COLOURS, new_figure, short
from sna_eval.study.interference import RandomNull


def draw(controls: Sequence[RandomNull]) -> Figure:
    """Every draw a grey stroke; changes in units of the random draws' own spread would hide their
    size, so they stay in percentage points."""
    figure = new_figure(8, 1.2 + 0.3 * len(controls))
    axes = figure.subplots()
    for row, own in enumerate(reversed(controls)):
        randoms = [100 * value for value in own.random_changes]
        axes.plot(
            randoms, [row] * len(randoms), "|", color=MUTED, markersize=9, alpha=0.7,
            label="random neurons, matched in mean activation" if row == 0 else None,
        )  # fmt: skip
        axes.plot(
            100 * own.change, row, "o", color=ZONE_COLOURS[1], markersize=5,
            label="the plan's neurons" if row == 0 else None,
        )  # fmt: skip
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.set_yticks(range(len(controls)), [short(own.task) for own in reversed(controls)])
    axes.set_xlabel("change of mean P(target), percentage points")
    axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=2)
    return figure
