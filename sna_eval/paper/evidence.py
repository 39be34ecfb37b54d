"""What a run of the protocol found, as the verdicts are drawn from it."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from sna_eval.study.interference import Interference
from sna_eval.study.summary import Summary, TaskMeasurements, TaskSummary, task_type


@dataclass(frozen=True, eq=False)
class Labelled:
    """A sweep of SST-2."""

    configurations: pa.Table
    neurons: pa.Table


@dataclass(frozen=True, eq=False)
class ProtocolEvidence:
    """Everything that was measured on one model; `None` for what was not run."""

    model: str
    """As it was named."""
    n_layers: int
    summary: Summary
    measured: Interference | None = None
    transition: TaskMeasurements | None = None
    """The task built for zone 2."""
    sst2: Labelled | None = None

    def is_model(self, name: str) -> bool:
        """Whether this is one of the paper's models, under whatever organisation."""
        return self.model.rstrip("/").rpartition("/")[2].lower() == name

    def tasks(self, kind: str) -> list[TaskSummary]:
        """The three levels of a kind of task, as far as they were run."""
        return [task for task in self.summary.tasks if task_type(task.task) == kind]
