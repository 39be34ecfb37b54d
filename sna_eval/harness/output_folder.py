"""Where lm_eval is going to write the results of the evaluation that is running.

lm_eval tells a model nothing about it. Its `simple_evaluate` holds the tracker that writes results,
and stands among the callers of a model's methods while it runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any


def output_folder() -> Path | None:
    """The folder that results will be written to; `None` where there will be none."""
    tracker = _tracker(sys._getframe())
    output = getattr(tracker, "output_path", None)
    if not output:
        return None
    path = Path(output)
    if path.suffix == ".json":  # as `EvaluationTracker.save_results_aggregated` does
        return path.parent
    return path / str(tracker.general_config_tracker.model_name_sanitized)


def _tracker(frame: FrameType | None) -> Any:
    while frame is not None:
        if frame.f_code.co_name == "simple_evaluate" and "evaluation_tracker" in frame.f_locals:
            return frame.f_locals["evaluation_tracker"]
        frame = frame.f_back
    return None
