"""One page to read a run's items on: both answers beside each other."""

from sna_eval.reporting.view.page import View, write_view

__all__ = ["View", "write_view"]
