"""The page of a verdict: what was registered, what came of it, and what it stands beside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from sna_eval.errors import writing
from sna_eval.reporting.colours import short
from sna_eval.reporting.figures.marks import Drawing
from sna_eval.reporting.in_matplotlib import drawn
from sna_eval.reporting.page import Picture, Section, page
from sna_eval.reporting.style import as_svg, styled
from sna_eval.reporting.tables import Table
from sna_eval.reporting.verdict import figures, tables
from sna_eval.study.verdict import HYPOTHESES, Judged, Verdict
from sna_eval.study.verdict.beside import Beside
from sna_eval.study.verdict.hypotheses import EXCLUDED, SHOWN, UNDECIDED
from sna_eval.study.verdict.opened import Opening


def write_verdict(
    found: Verdict,
    path: Path,
    *,
    opened: Sequence[Opening] = (),
    beside: Sequence[Beside] = (),
) -> Path:
    """Writes the page.

    **Arguments:**

    - `opened`: when the test items were scored, the first time first.
    - `beside`: verdicts of other models, for the forest plot.
    """
    with writing(path), styled():
        sections = list(_sections(found, opened, beside))
        path.parent.mkdir(parents=True, exist_ok=True)
        title = f"Verdict: {found.registration.model.arguments}"
        path.write_text(page(title, _lead(found), sections), encoding="utf-8")
    return path


def _lead(found: Verdict) -> str:
    registered = found.registration
    select = registered.search.select or "the usual ranking"
    return (
        f"Registration {registered.hash}: {select}, {len(found.tasks)} tasks, "
        f"{registered.search.draws} random rankings given the same search."
    )


def _sections(
    found: Verdict, opened: Sequence[Opening], beside: Sequence[Beside]
) -> Iterator[Section]:
    forest = _show("forest", "Gain over random rankings; its interval ends in one-sided bounds.",
                   figures.forest(found, beside))  # fmt: skip
    yield Section("In short", (*_answer(found), _counts(found), forest, *_opened(opened)))
    yield Section("Verdicts", (_words(found), _verdicts(found), _table(found)))
    yield Section(
        "The claim among its nulls",
        (_show("nulls", "Each stroke is a random ranking that chose its own layer, count and "
               "multiplier, and pushes as far.", figures.among_nulls(found)),),
    )  # fmt: skip
    yield Section(
        "Gain against baseline",
        (
            "On a scale that is divided by the baseline, or bounded, gains go with the baseline "
            "whatever causes them: what counts is what lies outside the band.",
            _show("scales", "Every task's items amplified, gate held open.", figures.scales(found)),
            *tables.slope(found),
        ),
    )
    yield Section(
        "Strength",
        (
            _show("doses", "All tasks' items, gate held open.", figures.doses(found)),
            "The trend is the mean specific gain in log-odds per unit of strength, each item's "
            "through 0; intervals of 95 % go by clusters of items.",
            tables.doses(found),
        ),
    )
    yield Section("Which neurons", (tables.STABLE, tables.stability(found)))
    yield Section(
        "Layers",
        (_show("layers", "On development items, the claim's count and multiplier in each layer.",
               figures.layers(found)),),
    )  # fmt: skip
    yield Section(
        "Whose neurons help whom",
        (_show("dissociation", "Neurons of other tasks push as far as the task's own.",
               figures.dissociation(found)),),
    )  # fmt: skip
    yield Section(
        "Calibration",
        (_show("reliability", "Equal numbers of items in each bin.", figures.reliability(found)),),
    )
    yield Section(
        "Gain against push",
        (_show("pushes", "Every point is one intervention on one task.", figures.pushes(found)),),
    )
    yield Section("Registered", (_registered(found),), words=True)


def _show(name: str, caption: str, drawing: Drawing) -> Picture:
    return Picture(name, caption, as_svg(drawn(drawing)))


_ASKED = {
    "H1": "more than random rankings that were given the same search",
    "H2": "more where the model is uncertain than where it is confident",
    "H3": "more than a temperature that makes it as decided",
    "H4": "more than the neurons of other tasks at equal push",
    "H5": "no harm to confident items, plain text and generations",
}


def _answer(found: Verdict) -> Iterator[str]:
    """What was asked, and what came of it over all tasks."""
    search, tasks = found.registration.search, found.registration.tasks
    items = sum(task.test.items for task in tasks.values())
    yield (
        "Asked: do the neurons that a ranking finds on development items help on test items, and "
        f"more than chance would have it? {len(tasks)} tasks, {items} test items, {search.draws} "
        f"random rankings for each, seed {search.seed}."
    )
    if len(tasks) > 1:
        over = found.together
        yield (
            f"Over all tasks the claims gain {over.estimate:+.4f} log-odds more than random "
            f"rankings do (p {over.p:.3g} of {over.draws} draws that go through all tasks; it "
            "stands beside the five hypotheses)."
        )


def _counts(found: Verdict) -> Table:
    rows = []
    for hypothesis in HYPOTHESES:
        words = [task.judged[hypothesis].verdict for task in found.tasks.values()]
        counts = (str(words.count(word)) for word in (SHOWN, EXCLUDED, UNDECIDED))
        rows.append((hypothesis, _ASKED[hypothesis], *counts))
    return Table(
        ("", "the claim gains or does", "tasks shown", "excluded", "undecided"), tuple(rows)
    )


def _words(found: Verdict) -> str:
    alpha = found.registration.limits.alpha
    over = (
        "adjusted over tasks after Holm"
        if found.registration.correction == "holm"
        else "each task by itself: the draws are too few for an adjustment over tasks"
    )
    return (
        f"Hypotheses stand in a fixed order: the p-value of each is the largest up to it. Shown: "
        f"at most {alpha:g}, {over}. Excluded: the interval lies below the smallest effect of "
        f"interest, {found.registration.limits.smallest:g} log-odds. Else undecided at this n."
    )


def _verdicts(found: Verdict) -> Table:
    rows = tuple(
        (short(name), *(task.judged[hypothesis].verdict for hypothesis in HYPOTHESES))
        for name, task in found.tasks.items()
    )
    return Table(("task", *HYPOTHESES), rows)


def _table(found: Verdict) -> Table:
    rows = tuple(
        (
            short(name), hypothesis, _number(judged.estimate), _interval(judged), f"{judged.p:.3g}",
            str(judged.draws), judged.verdict,
        )
        for name, task in found.tasks.items()
        for hypothesis, judged in task.judged.items()
    )  # fmt: skip
    return Table(("task", "", "estimate", "interval", "p", "draws", "verdict"), rows)


def _interval(judged: Judged) -> str:
    return f"[{_number(judged.interval[0])}, {_number(judged.interval[1])}]"


def _number(value: float) -> str:
    return f"{value:+.4f}" if math.isfinite(value) else "-"


def _opened(opened: Sequence[Opening]) -> tuple[str, ...]:
    if len(opened) <= 1:
        return ()
    first = opened[0]
    return (
        f"These test items were opened {len(opened)} times with this model, first on "
        f"{first.when} under registration {first.registration}. A test counts once.",
    )


def _power(least: float | None) -> str:
    return "no effect" if least is None else f"{least:.3g} log-odds"


def _registered(found: Verdict) -> Table:
    registered = found.registration
    rows = [
        ("model", f"{registered.model.arguments} ({registered.model.hash})"),
        *((hypothesis, text) for hypothesis, text in registered.endpoints.items()),
        *(
            (
                name,
                f"development {task.development.items} items ({task.development.hash}), test "
                f"{task.test.items} items with {task.test.answers} answers ({task.test.hash}); "
                f"zones by {task.gate.signal} at {task.gate.low:g} and {task.gate.high:g}; "
                "80 % power for " + _power(task.power.detectable),
            )
            for name, task in registered.tasks.items()
        ),
        ("excluded", "; ".join(registered.exclusions)),
    ]
    return Table(("", ""), tuple(rows))
