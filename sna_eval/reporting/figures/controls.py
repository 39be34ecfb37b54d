"""Each task's own neurons among random ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from sna_eval.reporting.style import MUTED, ZONE_COLOURS, new_figure, short
from sna_eval.study.interference import RandomNull


def draw(controls: Sequence[RandomNull]) -> Figure:
    """Every draw a grey stroke; in standard deviations of a task's draws, around their mean.

    **Arguments:**

    - `controls`: tasks whose draws `differ`; the others have no such scale.
    """
    figure = new_figure(8, 1.2 + 0.3 * len(controls))
    axes = figure.subplots()
    for row, own in enumerate(reversed(controls)):
        first = row == 0
        randoms, change = _standardised(own)
        axes.plot(
            randoms, [row] * len(randoms), "|", color=MUTED, markersize=9, alpha=0.7,
            label="random neurons, matched in mean activation" if first else None,
        )  # fmt: skip
        axes.plot(
            change, row, "o", color=ZONE_COLOURS[1], markersize=5,
            label="the plan's neurons" if first else None,
        )  # fmt: skip
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.set_yticks(range(len(controls)), [short(own.task) for own in reversed(controls)])
    axes.set_xlabel("change of mean P(target), in standard deviations of the random draws")
    axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=2)
    return figure


def differ(own: RandomNull) -> bool:
    """Whether a task's draws are not all alike, as a single one is."""
    return bool(np.ptp(own.random_changes) > 0)


def _standardised(own: RandomNull) -> tuple[list[float], float]:
    """Random changes and the plan's own."""
    randoms = np.asarray(own.random_changes)
    spread = randoms.std()
    return [float(z) for z in (randoms - randoms.mean()) / spread], float(
        (own.change - randoms.mean()) / spread
    )
