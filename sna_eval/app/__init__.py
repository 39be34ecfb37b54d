"""The app: confidence, zone, amplification and its effect in a browser, without writing code.

`core` knows no browser: every function takes a loaded model and a request, and returns a value.
`ui` is Streamlit and thin. Nothing here scores, gates or selects by itself: that is done by the
evaluation's own code.
"""
