"""Where: every layer and multiplier for one question; a click takes a cell."""

from __future__ import annotations

from typing import Any

import streamlit as st

from sna_eval.app.core.mapping import Cell, LayerMultiplierMap, MapConfig, map_layers
from sna_eval.app.core.workspace import Workspace
from sna_eval.app.ui import charts, controls, pieces, save_panel, state
from sna_eval.app.ui.boundary import messages, search, workspace
from sna_eval.argument_lists import parse_numbers
from sna_eval.errors import InputError

_RESULT = "map"
_CHART = "map_chart"


def show() -> None:
    """The page."""
    controls.show()
    st.title("Where")
    controls.ask()
    st.text_input("Multipliers", key="multipliers")
    st.html(pieces.note(controls.summary()))
    pressed = st.button("Draw the map", type="primary")
    with messages():
        model = workspace()
        if pressed:
            st.session_state.pop(_RESULT, None)
            st.session_state[_RESULT] = (model.name, _draw(model, _asked()))
        name, found = st.session_state.get(_RESULT, (None, None))
        if found is None:
            return
        if name != model.name:
            st.caption("The model has changed: draw the map again.")
            return
        _result(model, found)


def _asked() -> MapConfig:
    multipliers = parse_numbers("multipliers", state.value("multipliers")) or ()
    if len(multipliers) > 40:
        raise InputError("multipliers", expected="at most 40", got=len(multipliers))
    return MapConfig(state.question(), state.setting(), tuple(dict.fromkeys(multipliers)))


def _draw(model: Workspace, asked: MapConfig) -> LayerMultiplierMap:
    """Runs the map, showing every layer as it comes."""
    search(model, asked.setting)
    bar, place = st.progress(0.0, "Baseline"), st.empty()
    cells: list[Cell] = []
    baseline = 0.0
    for row in map_layers(model, asked):
        cells += row.cells
        baseline = row.baseline
        bar.progress(row.done, f"Layer {row.cells[0].layer} of {model.sites.n_layers - 1}")
        place.altair_chart(charts.cell_map(cells, model.sites.n_layers), width="stretch")
    bar.empty()
    place.empty()
    return LayerMultiplierMap(asked, baseline, tuple(cells))


def _result(model: Workspace, found: LayerMultiplierMap) -> None:
    with messages():
        if not found.asked.draws_as(_asked()):
            st.caption("The settings have changed since: draw the map again.")
    taken = found.at(int(state.value("layer") or 0), float(state.value("multiplier") or 0))
    _cards(found, taken)
    chart = charts.cell_map(
        found.cells, model.sites.n_layers,
        taken=(taken.layer, taken.multiplier) if taken else None,
    )  # fmt: skip
    st.altair_chart(
        chart, width="stretch", key=_CHART, on_select=_take, selection_mode=charts.CELL,
        alt="Change of P(target) by layer and multiplier",
    )  # fmt: skip
    st.html(
        pieces.note(
            "Click a cell to take its layer and multiplier. Every cell is amplified, whatever the "
            "gate says. The best of many cells on one item is no evidence for another item."
        )
    )
    best = found.best
    st.button(
        f"Take the best: layer {best.layer}, x{best.multiplier:g}",
        on_click=state.put,
        kwargs={"layer": best.layer, "multiplier": best.multiplier},
    )
    with st.expander("Exact numbers"):
        rows = (
            (str(cell.layer), f"{cell.multiplier:g}", repr(cell.prob), repr(cell.change))
            for cell in found.cells
        )
        st.html(pieces.table(("layer", "multiplier", "P(target)", "change"), rows, text=0))
    save_panel.show(model, state.setting(), [found.asked.question], key="where")


def _cards(found: LayerMultiplierMap, taken: Cell | None) -> None:
    best = found.best
    shown = "none of these cells"
    if taken is not None:
        shown = f"layer {taken.layer}, x{taken.multiplier:g}: {pieces.change(taken.change)}"
    st.html(
        pieces.cards(
            pieces.card("P(target) before", pieces.number(found.baseline)),
            pieces.card("Taken", pieces.number(taken.prob) if taken else "-", shown),
            pieces.card(
                "Best cell",
                pieces.number(best.prob),
                f"layer {best.layer}, x{best.multiplier:g}: {pieces.change(best.change)}",
            ),
        )
    )


def _take() -> None:
    """A click on the map: its cell becomes the setting."""
    chosen: Any = st.session_state[_CHART]
    points = chosen["selection"].get(charts.CELL) or []
    if points:
        state.put(layer=int(points[0]["layer"]), multiplier=float(points[0]["multiplier"]))
