"""What a sweep says: each task, all tasks together, layers, zones, and what the outcome hangs on.

Everything here is read from a store, and from what was measured beside it; no model runs.
"""

from sna_eval.study.summary.across_tasks import (
    AcrossTasks,
    NullBand,
    across_tasks,
    held_out_slope,
    null_band,
)
from sna_eval.study.summary.gated import GatedGain, gated_gains
from sna_eval.study.summary.held_out import HeldOut, held_out
from sna_eval.study.summary.measurements import (
    TaskMeasurements,
    read_measurements,
    task_measurements,
)
from sna_eval.study.summary.response import ResponseCurve, accuracy_changes, response_curves
from sna_eval.study.summary.summary import Summary, summarise
from sna_eval.study.summary.task_summary import (
    LayerMap,
    TaskSummary,
    ZoneMean,
    layer_map,
    summarise_task,
    zone_means,
)
from sna_eval.study.summary.variance import (
    Decomposition,
    Share,
    decompose_ranks,
    localization,
    paper_factors,
    shapley_shares,
    task_type,
)

__all__ = [
    "AcrossTasks",
    "Decomposition",
    "GatedGain",
    "HeldOut",
    "LayerMap",
    "NullBand",
    "ResponseCurve",
    "Share",
    "Summary",
    "TaskMeasurements",
    "TaskSummary",
    "ZoneMean",
    "accuracy_changes",
    "across_tasks",
    "decompose_ranks",
    "gated_gains",
    "held_out",
    "held_out_slope",
    "layer_map",
    "localization",
    "null_band",
    "paper_factors",
    "read_measurements",
    "response_curves",
    "shapley_shares",
    "summarise",
    "summarise_task",
    "task_measurements",
    "task_type",
    "zone_means",
]
