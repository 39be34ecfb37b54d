"""The frame of every page: look, navigation, and the settings that pages share."""

from __future__ import annotations

import streamlit as st

from sna_eval.app.ui import batch_page, runs_page, state, try_page, where_page
from sna_eval.app.ui.look import STYLE


def show() -> None:
    """Shows the page that the address names."""
    st.html(STYLE)
    state.keep()
    page = st.navigation(
        [
            st.Page(try_page.show, title="Try it", url_path="try", default=True),
            st.Page(where_page.show, title="Where", url_path="where"),
            st.Page(batch_page.show, title="Batch", url_path="batch"),
            st.Page(runs_page.show, title="Runs", url_path="runs"),
        ],
        position="top",
    )
    page.run()
