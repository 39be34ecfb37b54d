"""The sweep: every layer, count and multiplier of every task, far faster than hooks in a loop.

`Sweep` makes it ready, `run_sweep` runs it into a `SweepStore`, which a killed run resumes.
"""

from sna_eval.study.sweep.cost import Cost, CostModel
from sna_eval.study.sweep.manifest import ASKED, asked_arguments, stored_clusters
from sna_eval.study.sweep.options import SweepOptions
from sna_eval.study.sweep.ray_executor import RayExecutor
from sna_eval.study.sweep.reproducing import (
    configuration_row,
    model_spec,
    row_intervention,
    row_plan,
    task_gate,
)
from sna_eval.study.sweep.running import Executor, local_executor, run_sweep
from sna_eval.study.sweep.schemas import CONFIGURATIONS, ITEMS, NEURONS, Unit, UnitTables
from sna_eval.study.sweep.screening.agreement import Agreement, screen_text, store_agreements
from sna_eval.study.sweep.screening.options import ScreenOptions
from sna_eval.study.sweep.store import SweepStore
from sna_eval.study.sweep.sweep import Sweep

__all__ = [
    "ASKED",
    "CONFIGURATIONS",
    "ITEMS",
    "NEURONS",
    "Agreement",
    "Cost",
    "CostModel",
    "Executor",
    "RayExecutor",
    "ScreenOptions",
    "Sweep",
    "SweepOptions",
    "SweepStore",
    "Unit",
    "UnitTables",
    "asked_arguments",
    "configuration_row",
    "local_executor",
    "model_spec",
    "row_intervention",
    "row_plan",
    "run_sweep",
    "screen_text",
    "store_agreements",
    "stored_clusters",
    "task_gate",
]
