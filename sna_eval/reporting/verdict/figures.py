"""Figures of a verdict: the claim among what random rankings, given the same, came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sna_eval.harness.loading import pretrained_name
from sna_eval.measuring.values import Floats
from sna_eval.reporting.colours import GAIN, INK, LOSS, MUTED, ZONE_COLOURS, short
from sna_eval.reporting.figures.marks import (
    Axis,
    Band,
    Cells,
    Drawing,
    Line,
    Mark,
    Panel,
    Points,
    Series,
    Spans,
    relative,
    texts,
)
from sna_eval.study.nulls.records import Found, Outcomes
from sna_eval.study.verdict import Judged, TaskVerdict, Verdict
from sna_eval.study.verdict.beside import Beside
from sna_eval.study.verdict.rivals import DOSES

_CLAIM = Series("claim", GAIN)
_RANDOM = Series("random rankings, same search", MUTED, "stroke")
_BINS = 8
_ROOM = 200
_BAND = (5, 95)
"""Percentiles of random rankings between which the band lies."""


def among_nulls(found: Verdict) -> Drawing:
    """Every task's claim among its random rankings."""
    names = tuple(map(short, found.tasks))
    claims, random = [], []
    for row, task in enumerate(found.tasks.values()):
        claims.append((task.null.claim.gain, float(row)))
        random += [(float(gain), float(row)) for gain in task.null.null_gains]
    marks = (Line("y"), _points(_RANDOM, random), _points(_CLAIM, claims))
    panel = Panel(Axis("gain in specific log-odds, test items"), Axis(names=names), marks)
    return Drawing((panel,), 7.5, 1.8 + 0.34 * len(names), legend="above")


def _points(series: Series, places: Sequence[tuple[float, float]]) -> Points:
    x, y = zip(*places, strict=True)
    return Points(series, x, y)


def forest(found: Verdict, beside: Sequence[Beside] = ()) -> Drawing:
    """Gain over random rankings, with its interval, of every task; below each what other models
    had there."""
    rows = [
        (name if model is None else f"{name}, {model}", judged)
        for model, name, judged in _forest_rows(found, beside)
    ]
    places = tuple(float(row) for row in range(len(rows)))
    intervals = Series(f"{1 - 2 * found.registration.limits.alpha:.0%} interval", INK, "square")
    smallest = Series("smallest effect of interest", LOSS)
    marks: tuple[Mark, ...] = (
        Line("y"),
        Spans(intervals, tuple(one.interval[0] for _, one in rows),
              tuple(one.interval[1] for _, one in rows), places),
        Points(Series("", INK, "square"), tuple(one.estimate for _, one in rows), places),
        Spans(smallest, (0.0,), (found.registration.limits.smallest,), (len(rows) - 0.55,), 4.0),
    )  # fmt: skip
    names = tuple(f"{name}: {one.verdict}" for name, one in rows)
    panel = Panel(Axis("gain over random rankings, log-odds"), Axis(names=names), marks)
    return Drawing((panel,), 8.0, 1.8 + 0.34 * len(names), legend="above")


def _forest_rows(
    found: Verdict, beside: Sequence[Beside]
) -> Iterator[tuple[str | None, str, Judged]]:
    """Model, task and finding, tasks together; models are named where there are several."""
    claimed_model = pretrained_name(found.registration.model.arguments)
    first = {name: task.judged["H1"] for name, task in found.tasks.items()}
    every = [Beside(claimed_model, first), *beside]
    tasks = dict.fromkeys(task for one in every for task in one.first)
    for task in tasks:
        for one in every:
            if task in one.first:
                model = short_model(one.model) if beside else None
                yield model, short(task), one.first[task]


def short_model(name: str) -> str:
    """A model's name without the folders or the owner before it."""
    return name.rstrip("/").rsplit("/", 1)[-1]


def scales(found: Verdict) -> Drawing:
    """Change against baseline on three scales, with the band of random rankings."""
    tasks = sorted(found.tasks.values(), key=lambda task: _mean_prob(task.null.items.baseline))
    baseline = np.array([_mean_prob(task.null.items.baseline) for task in tasks])
    wide = bool(baseline.max() > 10 * baseline.min() > 0)
    panels = []
    for title, change in _SCALES:
        changes = np.array([change(task, task.null.claim) for task in tasks])
        nulls = [np.array([change(task, draw) for draw in task.null.nulls]) for task in tasks]
        low, middle, high = (
            np.array([np.percentile(one, share) for one in nulls])
            for share in (_BAND[0], 50, _BAND[1])
        )
        band = Band(Series("random rankings, 5 to 95 %", MUTED), baseline, low, middle, high)
        points = Points(_CLAIM, tuple(baseline), tuple(changes))
        panels.append(
            Panel(Axis("baseline P(target)", log=wide), Axis(title), (Line("x"), band, points))
        )
    return Drawing(tuple(panels), 10.5, 3.4)


def _mean_prob(outcomes: Outcomes) -> float:
    return float(outcomes.prob.mean())


def _prob_change(task: TaskVerdict, draw: Found) -> float:
    return _mean_prob(draw.after) - _mean_prob(task.null.items.baseline)


def _percent_change(task: TaskVerdict, draw: Found) -> float:
    return 100 * _prob_change(task, draw) / _mean_prob(task.null.items.baseline)


def _odds_change(task: TaskVerdict, draw: Found) -> float:
    before, after = np.array(task.null.items.baseline.log_odds), np.array(draw.after.log_odds)
    return float((after - before).mean())


_SCALES: tuple[tuple[str, Callable[[TaskVerdict, Found], float]], ...] = (
    ("change of P(target)", _prob_change),
    ("change of P(target), %", _percent_change),
    ("change of log-odds", _odds_change),
)


def doses(found: Verdict) -> Drawing:
    """Specific gain by strength and zone, over the items of all tasks, gate held open."""
    marks: list[Mark] = [Line("x")]
    for zone, colour in ZONE_COLOURS.items():
        means = [_zone_mean(found, zone, place) for place in range(len(DOSES))]
        if np.isfinite(means).all():
            marks.append(
                Points(Series(f"zone {zone}", colour), (0.0, *DOSES), (0.0, *means), joined=True)
            )
    panel = Panel(
        Axis("strength, as a multiple of the claim's m - 1"),
        Axis("mean specific gain, log-odds"), tuple(marks),
    )  # fmt: skip
    return Drawing((panel,), 5.5, 3.4)


def _zone_mean(found: Verdict, zone: int, place: int) -> float:
    values = [
        np.array(task.rivals.doses[place].specific)[np.array(task.null.items.zones) == zone]
        for task in found.tasks.values()
    ]
    every = np.concatenate(values)
    return float(every.mean()) if len(every) else float("nan")


def layers(found: Verdict) -> Drawing:
    """Gain of the claim's ranking less that of random ones, by layer, on development items."""
    every = sorted({gain.layer for task in found.tasks.values() for gain in task.rivals.layers})
    table = np.full((len(found.tasks), len(every)), np.nan)
    framed = []
    for row, task in enumerate(found.tasks.values()):
        for gain in task.rivals.layers:
            table[row, every.index(gain.layer)] = gain.claim - gain.random
        framed.append((row, every.index(task.null.claim.layer)))
    return _heat(
        table, tuple(map(short, found.tasks)), tuple(map(str, every)),
        x="layer", title="Claim less random rankings, log-odds; framed: chosen",
        framed=tuple(framed), digits=2,
    )  # fmt: skip


def dissociation(found: Verdict) -> Drawing:
    """Whose neurons help whose items, at equal push."""
    names = list(found.tasks)
    table = np.full((len(names), len(names)), np.nan)
    for column, name in enumerate(names):
        task = found.tasks[name]
        opened = np.array(task.null.items.opened)
        table[column, column] = task.null.claim.gain
        for rival in task.others:
            if rival.name in names:
                table[names.index(rival.name), column] = np.mean(np.array(rival.specific) * opened)
    shown = tuple(map(short, names))
    return _heat(
        table, shown, shown, x="items of", title="Gain in log-odds; framed: the task's own",
        framed=tuple((place, place) for place in range(len(names))), digits=2, y="neurons of",
    )  # fmt: skip


def _heat(
    table: Floats, rows: tuple[str, ...], columns: tuple[str, ...], *, x: str, title: str,
    framed: tuple[tuple[int, int], ...], digits: int, y: str = "",
) -> Drawing:  # fmt: skip
    numbers = texts(table, shown=False)
    if table.size <= _ROOM:
        numbers = tuple(
            tuple(f"{value:.{digits}f}" if np.isfinite(value) else "" for value in row)
            for row in table
        )
    cells = Cells(relative(table), numbers, tuple(({},) * len(columns) for _ in rows), framed)
    panel = Panel(Axis(x, names=columns, tilted=True), Axis(y, names=rows), (cells,), title=title)
    return Drawing((panel,), 3.0 + 0.6 * len(columns), 2.0 + 0.36 * len(rows))


def reliability(found: Verdict) -> Drawing:
    """Share of right answers by the probability of what is likeliest, before and after."""
    marks: list[Mark] = [
        Points(Series("calibrated", MUTED, "stroke"), (0.0, 1.0), (0.0, 1.0), joined=True)
    ]
    for series, states in (
        (Series("unmodified", INK, "ring"), [t.null.items.baseline for t in found.tasks.values()]),
        (_CLAIM, [t.null.claim.after for t in found.tasks.values()]),
    ):
        confidence = np.concatenate([likeliest(state) for state in states])
        correct = np.concatenate([np.array(state.correct, dtype=float) for state in states])
        x, y = _binned(confidence, correct)
        marks.append(Points(series, x, y, joined=True))
    panel = Panel(Axis("probability of the likeliest answer"), Axis("share right"), tuple(marks))
    return Drawing((panel,), 4.6, 3.8)


def likeliest(state: Outcomes) -> Floats:
    """Probability of what the model would answer, `[item]`: the right answer's where it leads,
    else the best rival's, from the margin between the two."""
    lead = np.minimum(np.array(state.margin), 0.0)
    return np.exp(np.minimum(np.array(state.log_prob) - lead, 0.0))


def _binned(confidence: Floats, correct: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    parts = np.array_split(np.argsort(confidence, kind="stable"), _BINS)
    filled = [part for part in parts if len(part)]
    return (
        tuple(float(confidence[part].mean()) for part in filled),
        tuple(float(correct[part].mean()) for part in filled),
    )


def pushes(found: Verdict) -> Drawing:
    """Gain against how far the model is pushed, all methods of all tasks."""
    claims: list[tuple[float, float]] = []
    nulls: list[tuple[float, float]] = []
    temperatures: list[tuple[float, float]] = []
    others: list[tuple[float, float]] = []
    for task in found.tasks.values():
        opened = np.array(task.null.items.opened)
        claims.append((task.null.claim.kl, task.null.claim.gain))
        nulls += [(draw.kl, draw.gain) for draw in task.null.nulls]
        for place, rivals in ((temperatures, [task.rivals.temperature]), (others, task.others)):
            place += [
                (rival.kl, float(np.mean(np.array(rival.specific) * opened))) for rival in rivals
            ]
    marks: list[Mark] = [Line("x")]
    for series, points in (
        (_RANDOM, nulls),
        (Series("other tasks' neurons", ZONE_COLOURS[2], "triangle"), others),
        (Series("temperature of equal entropy", LOSS, "square"), temperatures),
        (_CLAIM, claims),
    ):
        kept = [point for point in points if point[0] > 0]
        if kept:
            marks.append(_points(series, kept))
    panel = Panel(
        Axis("KL(base || changed), nats, development items", log=True),
        Axis("gain in specific log-odds, test items"), tuple(marks),
    )  # fmt: skip
    return Drawing((panel,), 6.5, 4.0)
