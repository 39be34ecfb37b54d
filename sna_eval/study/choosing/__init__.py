"""Choosing: from a sweep on development items to the plan that is evaluated on test items."""

from sna_eval.study.choosing.bounds import lower_bounds
from sna_eval.study.choosing.choice import ChosenConfiguration, Criterion, choose
from sna_eval.study.choosing.effects import Measure, TaskEffects, task_effects
from sna_eval.study.choosing.selected_plan import SelectedPlan, SelectOptions, select, with_gain

__all__ = [
    "ChosenConfiguration",
    "Criterion",
    "Measure",
    "SelectOptions",
    "SelectedPlan",
    "TaskEffects",
    "choose",
    "lower_bounds",
    "select",
    "task_effects",
    "with_gain",
]
