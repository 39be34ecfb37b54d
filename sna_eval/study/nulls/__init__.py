"""Searched nulls: a claim among random rankings that were searched exactly as it was.

A *claim* is what a search returned. To say that a ranking of neurons found something, the whole
search is repeated with random rankings in its place: each chooses its own layer, count and
multiplier on the same development items, measures as many configurations, pushes the model as far,
and takes its gain on the same test items (White 2000, doi:10.1111/1468-0262.00152; Romano and Wolf
2005, doi:10.1111/j.1468-0262.2005.00615.x). With `n` draws
`p = (1 + #{random gain >= claim's}) / (n + 1)` (Phipson and Smyth 2010, arXiv:1603.05766).
"""

from sna_eval.study.nulls.options import NullOptions
from sna_eval.study.nulls.records import Found, SearchedNull, TestItems
from sna_eval.study.nulls.searching import plan_null, searched_null
from sna_eval.study.nulls.slopes import ClaimedSlope, claimed_slope

__all__ = [
    "ClaimedSlope",
    "Found",
    "NullOptions",
    "SearchedNull",
    "TestItems",
    "claimed_slope",
    "plan_null",
    "searched_null",
]
