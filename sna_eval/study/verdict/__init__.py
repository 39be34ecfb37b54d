"""Verdicts that are registered in advance: what is tested, on which items, with how much power.

A registration names model, data, search, endpoints and limits before any test item is scored, and
carries a hash of all that. A verdict refuses anything else than what was registered, repeats the
whole search with random rankings, and judges five hypotheses in a fixed order:

- H1: the claim gains more specific log-odds than random rankings given the same search.
- H2: it gains more on uncertain items than on confident ones, gate held open, and more so.
- H3: it gains more than the temperature that makes the model as decided.
- H4: it gains more than neurons of other tasks that push the model as far.
- H5: it does no harm to confident items, plain text and generations.
"""

from sna_eval.study.verdict.hypotheses import HYPOTHESES, Judged
from sna_eval.study.verdict.ray_draws import RayDraws
from sna_eval.study.verdict.registering import RegisterOptions, register
from sna_eval.study.verdict.registration import Registration, load_registration
from sna_eval.study.verdict.running import (
    Executor,
    TaskVerdict,
    Verdict,
    local_executor,
    reach_verdict,
)

__all__ = [
    "HYPOTHESES",
    "Executor",
    "Judged",
    "RayDraws",
    "RegisterOptions",
    "Registration",
    "TaskVerdict",
    "Verdict",
    "load_registration",
    "local_executor",
    "reach_verdict",
    "register",
]
