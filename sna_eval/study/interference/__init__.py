"""Interference: what each task's amplification does to every other task and to plain text.

Every intervention is applied ungated to every item, so that what is compared is the intervention
and not the gate. (Akhtar 2026, section 5.2, has two tasks and two layers; here it is a whole plan.)
"""

from sna_eval.measuring.subjects import Subject, log_likelihoods, task_subject, text_subject
from sna_eval.study.interference.controls import RandomNull, random_null
from sna_eval.study.interference.result import (
    ALL,
    PLAIN_TEXT,
    AppliedPlan,
    CrossEffect,
    Interference,
)
from sna_eval.study.interference.running import InterferenceOptions, measure_interference

__all__ = [
    "ALL",
    "PLAIN_TEXT",
    "AppliedPlan",
    "CrossEffect",
    "Interference",
    "InterferenceOptions",
    "RandomNull",
    "Subject",
    "log_likelihoods",
    "measure_interference",
    "random_null",
    "task_subject",
    "text_subject",
]
