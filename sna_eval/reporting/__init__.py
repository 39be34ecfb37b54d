"""Figures, tables and pages of what `study` found; nothing is computed here that it does not say.

`report` writes a sweep's report and needs matplotlib, `view` a page of a run's items, which needs
nothing more; hence nothing is imported here.
"""
