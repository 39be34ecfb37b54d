"""The report's figures, one a file; each `draw` turns values of `study` into a figure."""
