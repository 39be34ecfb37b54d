"""One process of an evaluation, in a test or under a launcher.

    torchrun --nproc_per_node 2 -m tests.devices.evaluate JOB.json

The first process writes results and samples to the job's `output`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def evaluate(job: dict[str, Any]) -> dict[str, Any] | None:
    """lm_eval's `simple_evaluate` on tasks from folders; `None` where another process answers."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=job["include"], include_defaults=False)
    return simple_evaluate(
        model=job.get("model", "sna"),
        model_args=job["model_args"],
        tasks=job["tasks"],
        task_manager=manager,
        limit=job["limit"],
        batch_size=job.get("batch_size", 2),
        bootstrap_iters=0,
    )


def main(path: str) -> None:
    """Runs the job in a file."""
    from lm_eval.utils import handle_non_serializable

    job = json.loads(Path(path).read_text())
    results = evaluate(job)
    if results is not None:
        text = json.dumps(results, default=handle_non_serializable)
        with Path(job["output"]).open("a") as file:  # twice written would not be JSON any more
            file.write(text)


if __name__ == "__main__":
    main(sys.argv[1])
