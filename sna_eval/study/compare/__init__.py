"""Two runs of lm_eval compared: what changed, whether it is luck, and what it broke.

`read_run` reads a run from its files, `split` makes two of an `sna` run, `compare` tests one
against the other, and the `as_...` functions write the outcome down. Loads no model.
"""

from sna_eval.study.compare.comparability import Difference, NotComparable, grouped
from sna_eval.study.compare.comparison import Bound, Comparison, MetricRow, compare
from sna_eval.study.compare.effects import Harm, MetricChange, ZoneEffect
from sna_eval.study.compare.exports import as_csv, as_json
from sna_eval.study.compare.halves import split
from sna_eval.study.compare.options import Options
from sna_eval.study.compare.panels import Panel
from sna_eval.study.compare.tables import as_markdown, as_side_by_side, as_text
from sna_eval.study.results.reading import read_run
from sna_eval.study.results.records import MetricName, Run

__all__ = [
    "Bound",
    "Comparison",
    "Difference",
    "Harm",
    "MetricChange",
    "MetricName",
    "MetricRow",
    "NotComparable",
    "Options",
    "Panel",
    "Run",
    "ZoneEffect",
    "as_csv",
    "as_json",
    "as_markdown",
    "as_side_by_side",
    "as_text",
    "compare",
    "grouped",
    "read_run",
    "split",
]
