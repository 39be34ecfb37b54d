"""Development against test: where a configuration was chosen, and where it was not."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from sna_eval.reporting.style import MUTED, ZONE_COLOURS, new_figure, short
from sna_eval.study.summary import HeldOut


def draw(rows: Sequence[HeldOut]) -> Figure:
    """One line a task, from its development gain to its test gain with an interval."""
    figure = new_figure(8, 1.3 + 0.3 * len(rows))
    axes = figure.subplots()
    for number, own in enumerate(reversed(rows)):
        first = number == 0
        axes.plot([own.development, own.test], [number] * 2, color=MUTED, linewidth=0.8)
        axes.plot(
            [own.low, own.high], [number] * 2, color=ZONE_COLOURS[3], linewidth=2.5, alpha=0.3
        )
        axes.plot(
            own.development, number, "o", markerfacecolor="white", color=ZONE_COLOURS[1],
            label="development items, chosen on" if first else None,
        )  # fmt: skip
        axes.plot(
            own.test, number, "o", color=ZONE_COLOURS[3],
            label="test items, 95 % interval" if first else None,
        )  # fmt: skip
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.set_yticks(range(len(rows)), [short(own.task) for own in reversed(rows)])
    axes.set_xlabel("improvement of the chosen configuration, %")
    axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=2)
    return figure
