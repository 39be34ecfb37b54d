"""`plan=auto`: a small sweep of a task's development items, and the plan that follows from it."""

from sna_eval.study.auto.affordable import Affordable, affordable, small_grid
from sna_eval.study.auto.making import asked_gate, make_plan

__all__ = ["Affordable", "affordable", "asked_gate", "make_plan", "small_grid"]
