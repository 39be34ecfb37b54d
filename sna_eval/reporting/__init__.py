"""Figures and one HTML page from a sweep; nothing is computed here that `study` does not say."""

from sna_eval.reporting.report import Further, Report, write_report

__all__ = ["Further", "Report", "write_report"]
