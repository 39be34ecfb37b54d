"""The statistics of the study, one a file, each with its formula and where it comes from.

They know arrays of numbers alone: no files, no models, no lm_eval.
"""

from sna_eval.clusters import cluster_codes, fold_numbers
from sna_eval.study.statistics.baseline_slope import (
    BaselineSlope,
    SlopeBand,
    baseline_slope,
    slope_band,
)
from sna_eval.study.statistics.clusters import (
    clustered_stderr,
    design_effect,
)
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
from sna_eval.study.statistics.dose_response import DoseResponse, dose_response
from sna_eval.study.statistics.equivalence import Equivalence, equivalence
from sna_eval.study.statistics.golden_zone import golden_zone_count
from sna_eval.study.statistics.max_t import MaxT, max_t_bounds
from sna_eval.study.statistics.mcnemar import McNemar, mcnemar
from sna_eval.study.statistics.multiplicity import benjamini_hochberg, draws_needed, holm
from sna_eval.study.statistics.net_gain import GatedItems, NetGain, net_gain
from sna_eval.study.statistics.paired_bootstrap import paired_bootstrap
from sna_eval.study.statistics.paired_permutation import paired_permutation
from sna_eval.study.statistics.proportion import upper_bound
from sna_eval.study.statistics.ratio_null import RatioNull, ratio_null
from sna_eval.study.statistics.sampling import Interval, Reduce, check_draws, mean_of
from sna_eval.study.statistics.scales import (
    ItemScales,
    ScaleChange,
    calibration_error,
    item_scales,
    log_odds,
    scale_panel,
    target_scales,
)
from sna_eval.study.statistics.stability import resampled_places, stability
from sna_eval.study.statistics.success_rate import success_rate
from sna_eval.study.statistics.unpaired_z import UnpairedZ, unpaired_z

__all__ = [
    "BaselineSlope",
    "Correlation",
    "CorrelationKind",
    "DoseResponse",
    "Equivalence",
    "GatedItems",
    "Interval",
    "ItemScales",
    "MaxT",
    "McNemar",
    "NetGain",
    "RatioNull",
    "Reduce",
    "ScaleChange",
    "SlopeBand",
    "UnpairedZ",
    "baseline_slope",
    "benjamini_hochberg",
    "calibration_error",
    "check_draws",
    "cluster_codes",
    "clustered_stderr",
    "coefficients",
    "correlation",
    "design_effect",
    "detectable_flips",
    "detectable_mean",
    "detectable_unpaired",
    "dose_response",
    "draws_needed",
    "equivalence",
    "fold_numbers",
    "golden_zone_count",
    "holm",
    "item_scales",
    "log_odds",
    "max_t_bounds",
    "mcnemar",
    "mean_of",
    "net_gain",
    "paired_bootstrap",
    "paired_permutation",
    "ratio_null",
    "resampled_places",
    "scale_panel",
    "slope_band",
    "stability",
    "success_rate",
    "target_scales",
    "unpaired_z",
    "upper_bound",
]
