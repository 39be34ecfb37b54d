"""What Streamlit runs for every session and every interaction."""

import streamlit as st

from sna_eval.app.server import IMPORTING

st.set_page_config(page_title="sna-eval", layout="wide", initial_sidebar_state="auto")
with st.spinner("Starting ..."), IMPORTING:  # the first session waits for torch and transformers
    from sna_eval.app.ui.main import show

show()
