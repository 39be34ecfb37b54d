"""A task's items and rows, and what interventions do to them.

Everything below measures with this part: the sweep, interference, methods, the app.
"""
