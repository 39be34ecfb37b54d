"""Colours of pages, figures and the app, and how names stand in them."""

from __future__ import annotations

ZONE_COLOURS = {1: "#c1502e", 2: "#b08d2f", 3: "#2f6f9f"}
"""Uncertain, between, saturated."""
INK = "#222222"
MUTED = "#8a8a8a"
GOLD = "#e0a100"
LOSS, NOTHING, GAIN = "#b2182b", "#f7f7f7", "#2166ac"
"""Ends and middle of a change."""


def short(task: str) -> str:
    """A task's name as it stands in a figure."""
    return task.removeprefix("sna_").replace("_", " ")
