"""Development against test: where a configuration was chosen, and where it was not."""

from __future__ import annotations

from collections.abc import Sequence

from sna_eval.reporting.colours import MUTED, ZONE_COLOURS, short
from sna_eval.reporting.figures.marks import Axis, Drawing, Line, Panel, Points, Series, Spans
from sna_eval.study.summary import GatedGain, HeldOut

_CHOSEN_ON = Series("development items, chosen on", ZONE_COLOURS[1], "ring")
_TESTED_ON = Series("test items, 95 % interval", ZONE_COLOURS[3])


def draw(rows: Sequence[HeldOut]) -> Drawing:
    """Ungated gains, in percent."""
    return _draw(rows, list(map(_name, rows)), "improvement of the chosen configuration, %")


def draw_gated(rows: Sequence[GatedGain]) -> Drawing:
    """Gains behind the gate."""
    names = [f"{_name(row)} ({row.measure})" for row in rows]
    return _draw(rows, names, "change of mean P(target) or accuracy behind the gate")


def _name(row: HeldOut | GatedGain) -> str:
    return f"{short(row.task)} (oracle)" if row.oracle else short(row.task)


def _draw(rows: Sequence[HeldOut | GatedGain], names: Sequence[str], title: str) -> Drawing:
    """One line a task, from its development gain to its test gain with an interval."""
    places = tuple(map(float, range(len(rows))))
    development = tuple(row.development for row in rows)
    test = tuple(row.test for row in rows)
    low, high = tuple(row.low for row in rows), tuple(row.high for row in rows)

    def told(items: str, values: Sequence[float]) -> tuple[dict[str, object], ...]:
        return tuple(
            {"task": name, "items": items, "gain": value}
            for name, value in zip(names, values, strict=True)
        )

    panel = Panel(
        Axis(title),
        Axis(names=tuple(names)),
        (
            Line("y"),
            Spans(Series("", MUTED), development, test, places, width=0.8),
            Spans(Series("", ZONE_COLOURS[3]), low, high, places, width=2.5, opacity=0.3),
            Points(_CHOSEN_ON, development, places, told("development", development)),
            Points(_TESTED_ON, test, places, told("test", test)),
        ),
    )
    return Drawing((panel,), 8, 1.3 + 0.3 * len(rows), legend="above")
