"""The statistics of the study, one a file, each with its formula and where it comes from.

They know arrays of numbers alone: no files, no models, no lm_eval.
"""

from sna_eval.study.statistics.correlation import (
    Correlation,
    CorrelationKind,
    coefficients,
    correlation,
)
from sna_eval.study.statistics.detectable import (
    detectable_flips,
    detectable_mean,
    detectable_unpaired,
)
from sna_eval.study.statistics.golden_zone import golden_zone_count
from sna_eval.study.statistics.mcnemar import McNemar, mcnemar
from sna_eval.study.statistics.multiplicity import benjamini_hochberg, holm
from sna_eval.study.statistics.paired_bootstrap import paired_bootstrap
from sna_eval.study.statistics.paired_permutation import paired_permutation
from sna_eval.study.statistics.proportion import upper_bound
from sna_eval.study.statistics.ratio_null import RatioNull, ratio_null
from sna_eval.study.statistics.sampling import Interval, Reduce, check_draws, mean_of
from sna_eval.study.statistics.success_rate import success_rate
from sna_eval.study.statistics.unpaired_z import UnpairedZ, unpaired_z

__all__ = [
    "Correlation",
    "CorrelationKind",
    "Interval",
    "McNemar",
    "RatioNull",
    "Reduce",
    "UnpairedZ",
    "benjamini_hochberg",
    "check_draws",
    "coefficients",
    "correlation",
    "detectable_flips",
    "detectable_mean",
    "detectable_unpaired",
    "golden_zone_count",
    "holm",
    "mcnemar",
    "mean_of",
    "paired_bootstrap",
    "paired_permutation",
    "ratio_null",
    "success_rate",
    "unpaired_z",
    "upper_bound",
]
