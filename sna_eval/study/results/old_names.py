"""Task and metric names of lm_eval before 0.4, and today's.

Where today's prompt or scoring is another one the name is mapped all the same: the two are then
refused for their task versions, not silently kept apart.
"""

from __future__ import annotations

import re

_TASKS = {
    "lambada": "lambada_openai",
    "math_asdiv": "asdiv",
    "mnli_mismatched": "mnli_mismatch",
    "squad2": "squadv2",
    "sst": "sst2",
}
_MATH = "algebra|counting_and_prob|geometry|intermediate_algebra|num_theory|prealgebra|precalc"
_PATTERNS = (
    (re.compile(r"hendrycksTest-(.+)"), r"mmlu_\1"),
    (re.compile(rf"math_({_MATH})"), r"hendrycks_math_\1"),
    (re.compile(r"lambada_(openai|standard)_cloze"), r"lambada_\1_cloze_yaml"),
    (re.compile(r"mgsm_([a-z]{2})"), r"mgsm_direct_\1"),
    (re.compile(r"pawsx_([a-z]{2})"), r"paws_\1"),
    (re.compile(r"iwslt17-(.+)"), r"iwslt2017-\1"),
    (
        re.compile(r"bigbench_((?:(?!_multiple_choice|_generate_until).)+)"),
        r"bigbench_\1_multiple_choice",
    ),
)
_METRICS = {"ppl": "perplexity", "em": "exact_match", "likelihood_difference": "likelihood_diff"}
_TRUTHFULQA = re.compile(r"truthfulqa[:_]mc")


def todays_names(task: str, metric: str) -> tuple[str, str]:
    """Today's names of an old task and metric.

    The old `truthfulqa_mc` had two metrics, `mc1` and `mc2`; today they are two tasks' `acc`.
    """
    if _TRUTHFULQA.fullmatch(task) and metric in ("mc1", "mc2"):
        return f"truthfulqa_{metric}", "acc"
    if task == "gsm8k" and metric == "acc":
        return task, "exact_match"
    return _task(task), _METRICS.get(metric, metric)


def _task(name: str) -> str:
    if name in _TASKS:
        return _TASKS[name]
    for pattern, replacement in _PATTERNS:
        if pattern.fullmatch(name):
            return pattern.sub(replacement, name)
    return name.replace(":", "_")
