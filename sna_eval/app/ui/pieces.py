"""Parts of pages as HTML. Whatever a user or a model wrote goes through `escape` first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from sna_eval.app.ui.look import ZONE_NAMES, tint
from sna_eval.gating import SIGNALS, Gate, Zone


def signal_name(signal: str) -> str:
    """A confidence signal in words."""
    return SIGNALS.find(signal).words


def number(value: float) -> str:
    """A probability to be looked at; every digit stands under "Exact numbers"."""
    return f"{value:.4f}" if abs(value) >= 0.001 or value == 0 else f"{value:.2e}"


def change(value: float) -> str:
    """A signed difference."""
    text = number(abs(value))
    return text if float(text) == 0 else f"{'+' if value > 0 else '-'}{text}"


def card(name: str, big: str, note: str = "") -> str:
    """A number to be seen first; `big` and `note` are HTML."""
    return (
        f'<div class="sna-card"><div class="name">{escape(name)}</div>'
        f'<div class="big">{big}</div><div class="note">{note}</div></div>'
    )


def cards(*inner: str) -> str:
    return f'<div class="sna-cards">{"".join(inner)}</div>'


def chip(zone: Zone) -> str:
    """A zone's name on its colour."""
    return (
        f'<span class="sna-chip" style="background:{tint(zone)}">'
        f"zone {zone}, {ZONE_NAMES[zone]}</span>"
    )


def scale(gate: Gate, confidence: float) -> str:
    """The three zones, each a third of the bar, and where this confidence lies."""
    zones: tuple[Zone, ...] = (1, 2, 3)
    parts = "".join(
        f'<div class="zone" style="background:{tint(zone)}">{zone} {ZONE_NAMES[zone]}</div>'
        for zone in zones
    )
    place = scale_position(gate, confidence)
    ticks = "".join(
        f'<span style="left:{left:.2f}%">{label}</span>'
        for left, label in (
            (0, "0"), (100 / 3, f"{gate.low:g}"), (200 / 3, f"{gate.high:g}"), (100, "1"),
        )
    )  # fmt: skip
    described = f"{signal_name(gate.signal)} {number(confidence)}: zone {gate.zone(confidence)}"
    return (
        f'<div class="sna-scale" role="img" aria-label="{escape(described)}"><div class="bar">'
        f'{parts}<div class="mark" style="left:{place:.2f}%"></div></div>'
        f'<div class="ticks">{ticks}</div></div>'
    )


def scale_position(gate: Gate, confidence: float) -> float:
    """Percent from the left; each zone is linear in itself."""
    ends = ((0.0, gate.low), (gate.low, gate.high), (gate.high, 1.0))
    first, last = ends[gate.zone(confidence) - 1]
    inside = (confidence - first) / (last - first) if last > first else 0.5
    return (gate.zone(confidence) - 1 + min(max(inside, 0.0), 1.0)) * 100 / 3


def token(text: str) -> str:
    """A token with its spaces and line ends made visible."""
    shown = text.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "·")
    return f'<span class="sna-token">{escape(shown) or "∅"}</span>'


def bar(share: float) -> str:
    """A bar of the cell's width times `share`."""
    return f'<div class="sna-bar" style="width:{max(share, 0.01) * 100:.1f}%"></div>'


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    text: int = 1,
    wide: int | None = None,
) -> str:
    """A table; cells are HTML.

    **Arguments:**

    - `text`: how many of the first columns hold text rather than numbers.
    - `wide`: a column whose text may go over several lines.
    """

    def kind(place: int) -> str:
        if place == wide:
            return ' class="wide"'
        return ' class="text"' if place < text else ""

    def heading(place: int) -> str:
        return ' class="text"' if place < text or place == wide else ""

    head = "".join(
        f'<th scope="col"{heading(n)}>{escape(cell)}</th>' for n, cell in enumerate(headings)
    )
    body = "".join(
        "<tr>" + "".join(f"<td{kind(n)}>{cell}</td>" for n, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="sna-scroll"><table class="sna-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def slim(table: str) -> str:
    """A table of few columns that should not spread over the page."""
    return f'<div class="sna-slim">{table}</div>'


def exact(values: Iterable[tuple[str, object]]) -> str:
    """Names and values with every digit."""
    return table(
        ("name", "value"),
        (
            (escape(name), f'<span data-name="{escape(name)}">{escape(str(value))}</span>')
            for name, value in values
        ),
        text=2,
    )


def continued(prompt: str, text: str) -> str:
    """A prompt's end and what was written behind it."""
    end = prompt if len(prompt) <= 160 else "..." + prompt[-157:]
    return f'<p class="sna-text"><span class="prompt">{escape(end)}</span><b>{escape(text)}</b></p>'


def note(text: str) -> str:
    """A quiet remark, plain text."""
    return f'<p class="sna-note">{escape(text)}</p>'
