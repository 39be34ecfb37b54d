"""One HTML page that needs nothing beside itself: style and figures are inside, no script."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sna_eval.reporting.tables import Table

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 72rem; margin: 2rem auto;
  padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin-top: 2.4rem; border-bottom: 1px solid #ddd; }
p { max-width: 46rem; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; margin: 1rem 0; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e4e4e4; text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { font-weight: 600; border-bottom: 1px solid #888; vertical-align: bottom; white-space: normal; }
td:first-child, th:first-child { text-align: left; }
.words td, .words th { text-align: left; white-space: normal; overflow-wrap: anywhere; }
pre { background: #f5f5f5; padding: .6rem .8rem; font-size: 12px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.note { color: #555; }
nav { font-size: 13px; max-width: 46rem; }
nav a { white-space: nowrap; }
"""


@dataclass(frozen=True)
class Picture:
    """A figure of the page."""

    name: str
    """Of its files, and what a reader who cannot see it is told first."""
    caption: str
    svg: bytes


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, in order."""

    title: str
    parts: tuple[str | Table | Picture, ...]
    """A text is a paragraph; one that begins with four spaces is a command."""
    words: bool = False
    """Whether its tables hold words rather than numbers."""


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page: a title, its contents, the sections."""
    body = "\n".join(_section(section, number) for number, section in enumerate(sections, 1))
    contents = " · ".join(
        f'<a href="#s{number}">{escape(section.title)}</a>'
        for number, section in enumerate(sections, 1)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{escape(title)}</h1>\n<p class="note">{escape(lead)}</p>\n'
        f"<nav>{contents}</nav>\n{body}\n</body>\n</html>\n"
    )


def _section(section: Section, number: int) -> str:
    parts = [_part(part, words=section.words) for part in section.parts]
    heading = f'<section id="s{number}">\n<h2>{escape(section.title)}</h2>'
    return "\n".join([heading, *parts, "</section>"])


def _part(part: str | Table | Picture, *, words: bool) -> str:
    if isinstance(part, Table):
        return _table(part, words=words)
    if isinstance(part, Picture):
        return _picture(part)
    if part.startswith("    "):
        return f"<pre>{escape(part.strip())}</pre>"
    return f"<p>{escape(part)}</p>"


def _table(table: Table, *, words: bool) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.headings)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    kind = ' class="words"' if words else ""
    return (
        f'<div class="scroll"><table{kind}>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.svg).decode("ascii")
    return (
        f'<figure><img alt="{escape(picture.name)}" src="data:image/svg+xml;base64,{data}">'
        f'<figcaption class="note">{escape(picture.caption)}</figcaption></figure>'
    )
