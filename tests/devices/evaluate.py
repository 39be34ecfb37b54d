"""One process of an evaluation, in a test or under a launcher.

    torchrun --nproc_per_node 2 -m tests.devices.evaluate JOB.json ...

The first process writes results and samples to each job's `output`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def evaluate(job: dict[str, Any], lm: Any = None) -> dict[str, Any] | None:
    """lm_eval's `simple_evaluate` on tasks from folders; `None` where another process answers.

    **Arguments:**

    - `lm`: a model that is loaded already; else the job's `model_args` say what to load.
    """
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=job["include"], include_defaults=False)
    return simple_evaluate(
        model=lm or "sna",
        model_args=None if lm else job["model_args"],
        tasks=job["tasks"],
        task_manager=manager,
        limit=job["limit"],
        batch_size=job.get("batch_size", 2),
        use_cache=job.get("use_cache"),
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
    for argument in sys.argv[1:]:
        main(argument)
