"""Colours and styles; zones have the report's colours."""

from __future__ import annotations

from sna_eval.reporting.colours import INK, ZONE_COLOURS

ZONE_NAMES = {1: "uncertain", 2: "between", 3: "saturated"}
MUTED = "#6b6b6b"
LINE = "#e2e0da"
NARROW = "narrow-pages"
"""Key of the links that narrow screens show."""

THEME = {
    "base": "light",
    "primaryColor": "#2f6f9f",
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f5f4f0",
    "textColor": INK,
    "borderColor": "#d9d6ce",
    "linkColor": "#2f6f9f",
    "baseRadius": "6px",
    "showWidgetBorder": True,
    "headingFontWeights": [600, 600, 600],
    "headingFontSizes": ["1.7rem", "1.25rem", "1.05rem"],
}
"""Streamlit's theme options."""

STYLE = f"""<style>
.block-container {{ max-width: 68rem; padding-top: 3.6rem; padding-bottom: 4rem; }}
.sna-cards {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr));
  gap: .8rem; margin: .2rem 0 .4rem; }}
.sna-card {{ border: 1px solid {LINE}; border-radius: 6px; padding: .7rem .9rem; }}
.sna-card .name {{ color: {MUTED}; font-size: .85rem; }}
.sna-card .big {{ font-size: 1.6rem; font-weight: 600; line-height: 1.35;
  font-variant-numeric: tabular-nums; }}
.sna-card .note {{ color: {MUTED}; font-size: .85rem; }}
.sna-scale {{ margin: 1.1rem 0 1.5rem; max-width: 46rem; }}
.sna-scale .bar {{ position: relative; display: grid; grid-template-columns: 1fr 1fr 1fr;
  height: 2.1rem; border-radius: 6px; overflow: visible; }}
.sna-scale .zone {{ display: flex; align-items: center; justify-content: center;
  font-size: .85rem; color: {INK}; }}
.sna-scale .zone:first-child {{ border-radius: 6px 0 0 6px; }}
.sna-scale .zone:nth-child(3) {{ border-radius: 0 6px 6px 0; }}
.sna-scale .mark {{ position: absolute; top: -.3rem; bottom: -.3rem; width: 3px;
  margin-left: -1.5px; background: {INK}; border-radius: 2px; }}
.sna-scale .ticks {{ position: relative; height: 1.2rem; font-size: .8rem; color: {MUTED};
  font-variant-numeric: tabular-nums; }}
.sna-scale .ticks span {{ position: absolute; transform: translateX(-50%); top: .15rem; }}
.sna-scale .ticks span:first-child {{ transform: none; }}
.sna-scale .ticks span:last-child {{ transform: translateX(-100%); }}
.sna-scroll {{ overflow-x: auto; }}
.sna-table {{ border-collapse: collapse; font-size: .88rem; width: 100%; }}
.sna-slim {{ max-width: 30rem; }}
.sna-table th, .sna-table td {{ padding: .22rem .5rem; border-bottom: 1px solid {LINE};
  text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
.sna-table th {{ color: {MUTED}; font-weight: 500; vertical-align: bottom; white-space: normal; }}
.sna-table td.text, .sna-table th.text {{ text-align: left; }}
.sna-table td.wide {{ text-align: left; white-space: normal; min-width: 14rem; }}
.sna-token {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .82rem;
  background: #f5f4f0; border-radius: 3px; padding: .05rem .3rem; white-space: pre; }}
.sna-bar {{ height: .6rem; border-radius: 2px; background: #9db8cc; }}
.sna-table td:has(.sna-bar) {{ width: 35%; min-width: 3rem; }}
.sna-text {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .86rem;
  background: #f5f4f0; border-radius: 6px; padding: .6rem .8rem; white-space: pre-wrap;
  overflow-wrap: anywhere; margin: 0; }}
.sna-text b {{ font-weight: 600; }}
.sna-text .prompt {{ color: {MUTED}; }}
.sna-chip {{ display: inline-block; padding: 0 .5rem; border-radius: 999px; font-size: .82rem;
  color: {INK}; }}
.st-key-{NARROW} {{ display: none; }}
@media (max-width: 768px) {{
  .st-key-{NARROW} {{ display: flex; }}
  .sna-cards {{ grid-template-columns: repeat(3, 1fr); gap: .5rem; }}
  .sna-card {{ padding: .5rem .6rem; }}
  .sna-card .big {{ font-size: 1.2rem; }}
}}
.sna-note {{ color: {MUTED}; font-size: .9rem; margin: 0; max-width: 46rem; }}
</style>"""


def tint(zone: int) -> str:
    """A zone's colour, light enough for dark text."""
    red, green, blue = (int(ZONE_COLOURS[zone][place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, .28)"
