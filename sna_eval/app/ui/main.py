"""The frame of every page: look, navigation, and the settings that pages share."""

from __future__ import annotations

import streamlit as st

from sna_eval.app.ui import batch_page, runs_page, state, try_page, where_page
from sna_eval.app.ui.look import NARROW, STYLE


def show() -> None:
    """Shows the page that the address names."""
    st.html(STYLE)
    state.keep()
    pages = [
        st.Page(try_page.show, title="Try it", url_path="try", default=True),
        st.Page(where_page.show, title="Where", url_path="where"),
        st.Page(batch_page.show, title="Batch", url_path="batch"),
        st.Page(runs_page.show, title="Runs", url_path="runs"),
    ]
    page = st.navigation(pages, position="top")
    with st.container(key=NARROW, horizontal=True):  # where the bar at the top is folded away
        for target in pages:
            st.page_link(target)
    page.run()
