"""The report of a verdict: one HTML page, its figures inside."""

from sna_eval.reporting.verdict.page import write_verdict

__all__ = ["write_verdict"]
