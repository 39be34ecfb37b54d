"""The browser side, in Streamlit: read the controls, call `core`, show what it returns."""
