"""Writes the report of a sweep: one self-contained HTML file, and its figures as SVG and PNG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from sna_eval.errors import InputError
from sna_eval.reporting.page import Picture, Section, page
from sna_eval.reporting.sections import (
    held_out_section,
    interference_sections,
    made_section,
    response_section,
    sweep_sections,
)
from sna_eval.reporting.style import as_png, as_svg, styled
from sna_eval.study.interference import Interference
from sna_eval.study.summary import Summary, held_out, summarise
from sna_eval.study.sweep import SweepStore


@dataclass(frozen=True)
class Report:
    """What was written."""

    page: Path
    figures: tuple[Path, ...]


def write_report(
    store: SweepStore,
    output: str | Path | None = None,
    *,
    measured: Interference | None = None,
    command: str = "sna-eval report",
    draws: int = 10_000,
) -> Report:
    """Writes the page, and a folder `figures` beside it.

    **Arguments:**

    - `output`: the page; default: `report/index.html` in the store's folder.
    - `measured`: interference of a plan, best of one chosen from this sweep.
    - `command`: what was typed, for the page.
    - `draws`: bootstrap samples and random deals of the correlations.

    **Raises:** `InputError` for an unfinished sweep, and for a file that cannot be written.
    """
    path = Path(output) if output else store.path / "report" / "index.html"
    summary = summarise(store, draws=draws)
    gallery = _Gallery(path.parent / "figures")
    try:
        gallery.folder.mkdir(parents=True, exist_ok=True)
        with styled():
            sections = list(_sections(store, summary, measured, command, gallery))
        path.write_text(page(_title(store), _lead(store, summary), sections), encoding="utf-8")
    except OSError as error:
        raise InputError(
            "output", expected="a file that can be written", got=str(path), hint=str(error)
        ) from error
    return Report(path, tuple(gallery.written))


@dataclass(eq=False)
class _Gallery:
    """Writes figures as they are shown."""

    folder: Path
    written: list[Path] = field(default_factory=list)

    def show(self, name: str, caption: str, figure: Figure) -> Picture:
        svg = as_svg(figure)
        for suffix, content in (("svg", svg), ("png", as_png(figure))):
            file = self.folder / f"{name}.{suffix}"
            file.write_bytes(content)
            self.written.append(file)
        return Picture(name, caption, svg)


def _sections(
    store: SweepStore,
    summary: Summary,
    measured: Interference | None,
    command: str,
    gallery: _Gallery,
) -> Iterator[Section]:
    yield from sweep_sections(summary, gallery.show)
    if summary.curves:
        yield response_section(summary, gallery.show)
    if measured is not None:
        if (store.manifest["split"], measured.split) == ("development", "test"):
            rows = held_out(summary.measurements, measured)
            if rows:
                yield held_out_section(rows, gallery.show)
        yield from interference_sections(measured, gallery.show)
    yield made_section(store.manifest, measured, command)


def _title(store: SweepStore) -> str:
    return f"Selective Neuron Amplification: {store.manifest['model']}"


def _lead(store: SweepStore, summary: Summary) -> str:
    count = sum(own.configurations for own in summary.tasks)
    tasks = "task" if len(summary.tasks) == 1 else "tasks"
    return (
        f"{count:,} configurations of {len(summary.tasks)} {tasks}, measured on "
        f"{store.manifest['split']} items, every item amplified."
    )
