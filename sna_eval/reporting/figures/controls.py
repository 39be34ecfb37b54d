"""Each task's own neurons among random ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sna_eval.reporting.colours import MUTED, ZONE_COLOURS, short
from sna_eval.reporting.figures.marks import Axis, Drawing, Line, Panel, Points, Series
from sna_eval.study.interference import RandomNull

_RANDOM = Series("random neurons", MUTED, "stroke")
_PLAN = Series("the plan's neurons", ZONE_COLOURS[1])


def draw(controls: Sequence[RandomNull]) -> Drawing:
    """Every draw a grey stroke; in standard deviations of a task's draws, around their mean.

    **Arguments:**

    - `controls`: tasks whose draws `differ`; the others have no such scale.
    """
    names = [short(control.task) for control in controls]
    scaled = [_standardised(control) for control in controls]
    strokes = [(z, row) for row, (randoms, _) in enumerate(scaled) for z in randoms]
    shifts = tuple(change for _, change in scaled)
    searched = all(control.random_gains for control in controls)
    what = "specific gain in log-odds" if searched else "change of mean P(target)"
    panel = Panel(
        Axis(f"{what}, in standard deviations of the random draws"),
        Axis(names=tuple(names)),
        (
            Points(
                _RANDOM, tuple(z for z, _ in strokes), tuple(float(row) for _, row in strokes),
                tuple({"task": names[row], "deviations": z} for z, row in strokes),
            ),
            Points(
                _PLAN, shifts, tuple(map(float, range(len(shifts)))),
                tuple({"task": name, "deviations": z}
                      for name, z in zip(names, shifts, strict=True)),
            ),
            Line("y"),
        ),
    )  # fmt: skip
    return Drawing((panel,), 8, 1.2 + 0.3 * len(controls), legend="above")


def differ(null: RandomNull) -> bool:
    """Whether a task's draws are not all alike, as a single one is."""
    return bool(np.ptp(_compared(null)[0]) > 0)


def _standardised(null: RandomNull) -> tuple[list[float], float]:
    """What the draws do and what the plan does."""
    drawn, planned = _compared(null)
    randoms = np.asarray(drawn)
    spread = randoms.std()
    return [float(z) for z in (randoms - randoms.mean()) / spread], float(
        (planned - randoms.mean()) / spread
    )


def _compared(null: RandomNull) -> tuple[Sequence[float], float]:
    """What p is of: the draws' values and the plan's."""
    if null.random_gains and null.gain is not None:
        return null.random_gains, null.gain
    return null.random_changes, null.change
