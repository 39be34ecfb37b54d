"""Writes the report of a sweep: one self-contained HTML file, and its figures as SVG and PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sna_eval.errors import writing
from sna_eval.reporting.figures.marks import Drawing
from sna_eval.reporting.in_matplotlib import drawn
from sna_eval.reporting.opening import opening_section
from sna_eval.reporting.page import Picture, Section, page
from sna_eval.reporting.sections import (
    held_out_section,
    interference_sections,
    made_section,
    response_section,
    screen_section,
    sweep_sections,
)
from sna_eval.reporting.style import as_png, as_svg, styled
from sna_eval.study.interference import Interference
from sna_eval.study.summary import (
    GatedGain,
    ResponseCurve,
    Summary,
    held_out,
    response_curves,
    summarise,
)
from sna_eval.study.sweep import SweepStore


@dataclass(frozen=True, eq=False)
class ReportOptions:
    """What a report shows beside its sweep."""

    measured: Interference | None = None
    """Interference of a plan, best of one chosen from this sweep."""
    gated: tuple[GatedGain, ...] = ()
    """What that plan gained in lm_eval."""
    labelled: tuple[SweepStore, ...] = ()
    """Further sweeps, of tasks with choices: their response curves."""
    sections: Sequence[Section] = ()
    """Sections of the caller's, shown after the opening."""
    remarks: Sequence[str] = ()
    """What the opening says of them, in sentences."""


@dataclass(frozen=True)
class Report:
    """What was written."""

    page: Path
    figures: tuple[Path, ...]


def write_report(
    store: SweepStore,
    output: str | Path | None = None,
    *,
    further: ReportOptions | None = None,
    command: str = "sna-eval report",
    draws: int = 10_000,
) -> Report:
    """Writes the page, and a folder `figures` beside it.

    **Arguments:**

    - `output`: the page; default: `report/index.html` in the store's folder.
    - `further`: what else is shown.
    - `command`: what was typed, for the page.
    - `draws`: bootstrap samples and random deals of the correlations.

    **Raises:** `InputError` for an unfinished sweep, and for a file that cannot be written.
    """
    path = Path(output) if output else store.path / "report" / "index.html"
    further = further or ReportOptions()
    summary = summarise(store, draws=draws)
    gallery = _Gallery(path.parent / "figures")
    with writing(path):
        gallery.folder.mkdir(parents=True, exist_ok=True)
        with styled():
            sections = list(_sections(store, summary, further, command, gallery))
        path.write_text(page(_title(store), _lead(store, summary), sections), encoding="utf-8")
    return Report(path, tuple(gallery.written))


@dataclass(eq=False)
class _Gallery:
    """Writes figures as they are shown."""

    folder: Path
    written: list[Path] = field(default_factory=list)

    def show(self, name: str, caption: str, drawing: Drawing) -> Picture:
        figure = drawn(drawing)
        svg = as_svg(figure)
        for suffix, content in (("svg", svg), ("png", as_png(figure))):
            file = self.folder / f"{name}.{suffix}"
            file.write_bytes(content)
            self.written.append(file)
        return Picture(name, caption, svg)


def _sections(
    store: SweepStore, summary: Summary, further: ReportOptions, command: str, gallery: _Gallery
) -> Iterator[Section]:
    yield opening_section(summary, further.gated, further.measured, further.remarks, gallery.show)
    yield from further.sections
    yield from sweep_sections(summary, gallery.show)
    if summary.agreements:
        yield screen_section(summary)
    curves = [summary.curves, *(tuple(_curves(labelled)) for labelled in further.labelled)]
    if any(curves):
        yield response_section(curves, gallery.show)
    measured = further.measured
    rows = held_out(store, summary.measurements, measured) if measured else ()
    if rows or further.gated:
        yield held_out_section(rows, further.gated, gallery.show)
    if measured is not None:
        yield from interference_sections(measured, gallery.show)
    manifests = [store.manifest, *(labelled.manifest for labelled in further.labelled)]
    yield made_section(manifests, measured, command)


def _curves(store: SweepStore) -> Iterator[ResponseCurve]:
    store.check_complete()
    for task in store.manifest["tasks"]:
        yield from response_curves(task, store.table("configurations", tasks=[task]))


def _title(store: SweepStore) -> str:
    return f"Selective Neuron Amplification: {store.manifest['model']}"


def _lead(store: SweepStore, summary: Summary) -> str:
    count = sum(task.configurations for task in summary.tasks)
    tasks = "task" if len(summary.tasks) == 1 else "tasks"
    return (
        f"{count:,} configurations of {len(summary.tasks)} {tasks}, measured on "
        f"{store.manifest['split']} items, every item amplified."
    )
